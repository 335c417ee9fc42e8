"""MemoryStore with what a registry adds to it: replaced signatures stay known (storage rule 14)."""

from collections.abc import Iterator

from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.stores import StillLinked
from retinue.oci.tags import implied, tag_links


class RegistryModel(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.signed: dict[str, set[Digest]] = {}
        """By `.sig` tag: what it named before, as far as no successor has all of its layers."""

    async def put_tag(self, tag: str, digest: Digest, *, expected: Digest | None = None) -> None:
        before = self.names.get(tag)
        await super().put_tag(tag, digest, expected=expected)
        name = implied(tag)
        if name is None or name.suffix != "sig":
            return
        said = self.signed.setdefault(tag, set())
        if before is not None:
            said.add(before)
        new = _layers(self.content[digest])
        self.signed[tag] = {old for old in said if not _layers(self.content[old]) <= new}

    def links(self) -> Iterator[Link]:
        yield from super().links()
        for tag, said in self.signed.items():
            for digest in said & self.content.keys():
                yield from tag_links(tag, self.content[digest])

    def delete_tag(self, tag: str) -> bool:
        self.signed.pop(tag, None)
        return super().delete_tag(tag)

    def delete_manifest(self, digest: Digest) -> bool:
        """Also a paper without its subject takes its own papers along."""
        if digest not in self.content:
            return False
        self.names["root"] = digest
        try:
            return super().delete_manifest(digest)
        except StillLinked:
            del self.names["root"]
            raise

    def _forget(self, digest: Digest) -> None:
        named = {tag for tag, at in self.names.items() if at == digest}
        super()._forget(digest)
        self.signed = {
            tag: said - {digest} for tag, said in self.signed.items() if tag not in named
        }

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


def _layers(manifest: Manifest) -> set[object]:
    return {
        (layer.digest, tuple(sorted(layer.annotations.items())))
        for layer in manifest.blobs
        if layer != manifest.config
    }
