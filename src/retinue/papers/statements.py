"""Statements on tags: made, and kept where they are found from each image that the tag had."""

from collections.abc import Sequence
from datetime import datetime

from retinue.attest.anchors import Trust
from retinue.attest.statement import write_statement
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.papers.attach import Store, attach_bundle, put
from retinue.papers.collect import collect
from retinue.papers.facts import Verdict, Wanted
from retinue.papers.judge import derive
from retinue.papers.kinds import Kind
from retinue.papers.predicates import TagStatement, named, write_tag
from retinue.papers.tagplace import keeping_tag, place_of


def tag_statement(subject: Manifest, said: TagStatement) -> bytes:
    """The statement that a tag is at this image, to be signed and attached to both it and the place
    of the tag."""
    about = [named(subject), named(place_of(said.image, said.tag).manifest)]
    return write_statement(names.PREDICATE_TAG, write_tag(said), about)


async def keep_statement(
    store: Store, said: TagStatement, bundle: bytes, *, created: datetime, signer: Trust
) -> Sequence[Digest]:
    """Attach a statement to the place of its tag. Returns those there that the same signer made
    before: they say nothing any more, and would only be read each time."""
    place = place_of(said.image, said.tag)
    await put(store, place)
    await store.put_tag(keeping_tag(place.manifest.digest), place.manifest.digest)
    await attach_bundle(store, place.manifest, bundle, created=created, signer=signer)
    found = derive(await collect(store, place.manifest), signer, Wanted())
    return [
        fact.paper
        for fact in found.facts
        if fact.kind is Kind.TAG_STATEMENT
        and fact.verdict is Verdict.VERIFIED
        and datetime.fromisoformat(str(fact.claims["tag.time"])) < said.time
    ]
