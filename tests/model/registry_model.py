"""MemoryStore with what a registry adds to it: replaced signatures stay known, and replaced
fallback indexes are nobody's (storage rule 14)."""

from collections.abc import Iterator

from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.memory import MemoryStore
from retinue.oci.names import OCI_INDEX
from retinue.oci.tags import implied, supersedes, tag_links


class RegistryModel(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.signed: dict[str, set[Digest]] = {}
        """By `.sig` tag: what it named before, as far as no successor has all of its layers."""

    async def put_tag(
        self, tag: str, digest: Digest, *, expected: Digest | None = None, new: bool = False
    ) -> None:
        before = self.names.get(tag)
        await super().put_tag(tag, digest, expected=expected, new=new)
        name = implied(tag)
        if name is None or name.suffix != "sig":
            return
        said = self.signed.setdefault(tag, set())
        if before is not None:
            said.add(before)
        here = self.content[digest]
        self.signed[tag] = {old for old in said if not supersedes(here, self.content[old])}

    def links(self) -> Iterator[Link]:
        yield from super().links()
        for tag, said in self.signed.items():
            for digest in said & self.content.keys():
                yield from tag_links(tag, self.content[digest])

    def delete_tag(self, tag: str) -> bool:
        self.signed.pop(tag, None)
        return super().delete_tag(tag)

    def _forget(self, digest: Digest) -> None:
        named = {tag for tag, at in self.names.items() if at == digest}
        super()._forget(digest)
        self.signed = {
            tag: said - {digest} for tag, said in self.signed.items() if tag not in named
        }

    def _is_paper(self, digest: Digest) -> bool:
        return super()._is_paper(digest) or self._lists_papers(digest)

    def _lists_papers(self, digest: Digest) -> bool:
        """Whether it was made as a fallback index: papers say themselves all that it says."""
        made = self.content[digest]
        if made.media_type != OCI_INDEX or made.artifact_type or not made.children:
            return False
        children = [self.content.get(child.digest) for child in made.children]
        subjects = {paper.subject and paper.subject.digest for paper in children if paper}
        return None not in children and None not in subjects and len(subjects) == 1

    def kept_by_tags(self) -> set[Digest]:
        """What ordinary tags keep: no collection may touch it."""
        return self.alive(untagged=True)

    def papers_of(self, subject: Digest) -> set[Digest]:
        """Those that say so themselves: what the OCI list shows."""
        return {
            link.source
            for link in self.links()
            if link.rel is Rel.SUBJECT
            and link.target == subject
            and link.stated_by == link.source
            and link.way is Way.REFERRERS
        }
