"""`attest --format index`: statements inside of an index, as BuildKit writes them."""

import argparse
from typing import TYPE_CHECKING

from retinue.cli.problems import BadUsage

if TYPE_CHECKING:
    from retinue.cli.signing import Work
    from retinue.oci.digest import Digest
    from retinue.papers.attach import Attached


def check(args: argparse.Namespace) -> None:
    """Raises BadUsage for what has no meaning in an index."""
    if not args.unsigned:
        raise BadUsage("an index holds statements that nobody signed", "say so: --unsigned")
    if args.papers_in:
        raise BadUsage("an index holds its own statements", "leave --papers-in out")
    if args.recursive:
        raise BadUsage("the statement is about all images of an index", "leave --recursive out")
    if args.replace:
        raise BadUsage("what is in an index stays there", "leave --replace out")


async def embed(args: argparse.Namespace, predicate: bytes, work: "Work") -> "list[Attached]":
    """A new index with a statement about the chosen image, or about each; its tag moves to it.

    Raises TagMoved when somebody else moved the tag meanwhile.
    """
    from retinue.attest.attestation import Attestation
    from retinue.cli.judging import tag_of
    from retinue.papers.attach import Attached
    from retinue.papers.embed import embed_statements
    from retinue.papers.kinds import predicate_type

    said = Attestation(predicate_type(args.type), predicate)
    statements = [
        said.with_subject(work.image, digest).statement(version="0.1") for digest in _images(work)
    ]
    if args.dry_run:
        return []
    index = await embed_statements(work.store, work.top, statements)
    new, tag = index.digest != work.top.digest, tag_of(work.location)
    if new and tag is not None:
        await work.store.put_tag(tag, index.digest, expected=work.top.digest)
    return [Attached(index.digest, new=new)]


def _images(work: "Work") -> "list[Digest]":
    """The chosen image; of an index, all that are no statements themselves."""
    from retinue.oci import names

    kind = names.ANNOTATION_BUILDKIT_TYPE
    listed = [child.digest for child in work.subject.children if kind not in child.annotations]
    return listed or [work.subject.digest]


def text(done: "list[tuple[Work, list[Attached]]]") -> str:
    """What became of each digest."""
    return "\n".join(_line(work, paper) for work, papers in done for paper in papers)


def _line(work: "Work", paper: "Attached") -> str:
    from retinue.cli.judging import tag_of

    name = f"{work.image}@{work.top.digest}"
    if not paper.new:
        return f"{name} says it already"
    tag = tag_of(work.location)
    moved = "no tag names it yet" if tag is None else f"the tag {tag!r} names it now"
    return f"{name}\n  the digest changed: {paper.digest}; {moved}"
