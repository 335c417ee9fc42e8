"""A repository whose papers are kept in others, as one source."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from retinue.client.transfer import together
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.stores import BlobMissing, Search, Source


class Joined:
    """Content comes from `home` where it is, else from the first other that has it.

    Tags are those of `home`. What cannot be looked at anywhere is named as such.
    """

    def __init__(self, home: Source, others: Sequence[Source]) -> None:
        self._home = home
        self._others = others

    async def resolve(self, tag: str) -> Digest | None:
        return await self._home.resolve(tag)

    async def manifests(
        self, digests: Collection[Digest]
    ) -> Mapping[Digest, Manifest | Unreadable | None]:
        found = dict(await self._home.manifests(digests))
        for other in self._others:
            missing = [digest for digest, manifest in found.items() if manifest is None]
            if missing:
                found |= await other.manifests(missing)
        return found

    async def papers(self, subjects: Collection[Digest]) -> Mapping[Digest, Search]:
        stores = [self._home, *self._others]
        answers = await together([store.papers(subjects) for store in stores])
        return {subject: _union([answer[subject] for answer in answers]) for subject in subjects}

    def tags(self) -> AsyncIterator[str]:
        return self._home.tags()

    @asynccontextmanager
    async def blob(self, digest: Digest, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        async with AsyncExitStack() as stack:
            yield await self._open(stack, digest, start)

    async def _open(
        self, stack: AsyncExitStack, digest: Digest, start: int
    ) -> AsyncIterator[bytes]:
        *before, last = self._home, *self._others
        for store in before:
            try:
                return await stack.enter_async_context(store.blob(digest, start))
            except BlobMissing:
                continue
        return await stack.enter_async_context(last.blob(digest, start))


def _union(searches: Sequence[Search]) -> Search:
    links = dict.fromkeys(link for search in searches for link in search.links)
    blind = {way: why for search in searches for way, why in search.blind.items()}
    return Search(tuple(links), blind)
