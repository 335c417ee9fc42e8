"""Moving images with everything that belongs to them, byte for byte.

Blobs first, then children, parents and papers, then the tags that state papers, and the wanted tags
last: until then nothing that was asked for is visible, and a copy that fails leaves it so.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

from msgspec import Struct

from retinue.client import transfer
from retinue.client.closure import (
    Closure,
    PapersInTheWay,
    PapersStay,
    PapersUnseen,
    find_closure,
    find_roots,
)
from retinue.client.errors import TlsProblem, Unreachable
from retinue.client.stores import Store
from retinue.client.transfer import (
    Advanced,
    Done,
    How,
    Planned,
    Progress,
    Tagged,
    bounded,
    one,
    together,
    watched,
)
from retinue.oci import names
from retinue.oci.descriptor import Descriptor, may_be_absent
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.platform import Platform
from retinue.oci.stores import BlobMissing, Sink, Source

IN_MEMORY = 1024 * 1024
"""Blobs up to so many bytes are read whole before they are sent: that frees a connection."""
MANY = 64
"""Manifests, or small blobs, under way at once. Of requests the transport has fewer; but whoever
lists papers at a fallback tag writes those together that wait together."""
FEW = 6
"""Large blobs under way at once; each holds a connection to both sides, so half the pool or less."""
ATTEMPTS = 3
"""How often a blob is sent from its first byte on when connections break."""


class Wanted(Struct, frozen=True):
    """A tag or digest of the source, and the tags that it gets in the sink."""

    reference: str
    tags: tuple[str, ...] = ()


class CopyReport(Struct):
    """What was done. `papers` are those among `manifests` that are about something."""

    roots: list[Digest] = []
    tags: dict[str, Digest] = {}
    manifests: list[Digest] = []
    papers: list[Digest] = []
    blobs: dict[Digest, How] = {}
    bytes_sent: int = 0


async def copy(
    source: Source,
    sink: Store,
    wanted: Sequence[Wanted],
    *,
    papers: bool = True,
    platform: Platform | None = None,
    mount_from: str | None = None,
    progress: Progress = transfer.silent,
) -> CopyReport:
    """Copy the whole retinue of everything wanted; with `platform`, of that child of an index.

    `mount_from` is the source's repository when the sink's registry holds it too. Raises CopyError,
    and what the stores raise; then no wanted tag was put.
    """
    references = [item.reference for item in wanted]
    roots = await find_roots(source, references, platform, papers=papers)
    closure = await find_closure(source, roots, papers=papers)
    _check_room(sink, closure)
    await _check_tags(sink, closure)
    blobs = closure.blobs()
    size = sum(blob.size for blob in blobs.values())
    progress(Planned(len(blobs), size, len(closure.manifests)))
    report = CopyReport(roots=roots, papers=closure.papers())
    await _Sending(source, sink, mount_from, report, progress).all(blobs)
    for level in closure.levels():
        puts = [partial(_put, sink, closure.manifests[digest], progress) for digest in level]
        await bounded(puts, MANY)
        report.manifests += level
    await _confirm(sink, closure, progress)
    for tag, digests in closure.implied_tags().items():
        for digest in digests:
            await sink.put_tag(tag, digest)
    await _confirm_replaced(sink, closure)
    pairs = [(t, root) for root, item in zip(roots, wanted, strict=True) for t in item.tags]
    await bounded([partial(_tag, sink, tag, root, report, progress) for tag, root in pairs], MANY)
    return report


def _check_room(sink: Sink, closure: Closure) -> None:
    """A sink whose format has no place for papers says so in an attribute `no_papers`."""
    why = getattr(sink, "no_papers", None)
    papers = closure.papers()
    if why is not None and papers:
        raise PapersStay(papers, why)


async def _confirm(sink: Store, closure: Closure, progress: Progress) -> None:
    """Look whether the sink lists the papers that it took: some registries lose those that come at
    the same time. They are put again, one after another; raises PapersStay when that does not help.
    """
    expected = closure.listed_papers()
    for _ in range(ATTEMPTS):
        if not expected:
            return
        searches = await sink.papers({subject for _, subject in expected})
        found = {(k.source, k.target) for search in searches.values() for k in search.links}
        blind = {f"{s} by {way}": w for s, f in searches.items() for way, w in f.blind.items()}
        expected = [pair for pair in expected if pair not in found]
        if expected and blind:
            raise PapersUnseen(blind)
        for paper, _ in expected:
            await _put(sink, closure.manifests[paper], progress)
    if expected:
        raise PapersStay([p for p, _ in expected], "are not listed by the sink, which took them")


async def _put(sink: Sink, manifest: Manifest, progress: Progress) -> None:
    await sink.put_manifest(manifest)
    progress(Done(manifest.digest, len(manifest.raw), How.SENT))


async def _check_tags(sink: Store, closure: Closure) -> None:
    """Cosign keeps all signatures of an image in one manifest: what the sink has must be in ours."""
    for tag, digests in closure.implied_tags().items():
        here = await sink.resolve(tag)
        if here is None or here in digests:
            continue
        found = (await sink.manifests([here]))[here]
        ours = {key for digest in digests for key in _signatures(closure.manifests[digest])}
        theirs = _signatures(found) if isinstance(found, Manifest) else None
        if theirs is None or not theirs <= ours:
            raise PapersInTheWay(tag, here, digests[-1])


def _signatures(manifest: Manifest) -> set[tuple[Digest, str | None]]:
    """Two signers of one payload differ in nothing but what the layer's descriptor says."""
    return {(b.digest, b.annotations.get(names.ANNOTATION_SIGNATURE)) for b in manifest.blobs[1:]}


async def _confirm_replaced(sink: Store, closure: Closure) -> None:
    """A tag names one manifest; other signatures that it named once are lost in most registries."""
    expected = closure.replaced()
    if not expected:
        return
    searches = await sink.papers({subject for _, subject in expected})
    found = {(k.source, k.target) for search in searches.values() for k in search.links}
    lost = [paper for paper, subject in expected if (paper, subject) not in found]
    if lost:
        why = "are signatures that others replaced at their tag, and the sink keeps the last only;"
        raise PapersStay(lost, why)


async def _tag(
    sink: Sink, tag: str, digest: Digest, report: CopyReport, progress: Progress
) -> None:
    await sink.put_tag(tag, digest)
    report.tags[tag] = digest
    progress(Tagged(tag, digest))


class _Sending:
    """The blobs of one copy on their way."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        mount_from: str | None,
        report: CopyReport,
        progress: Progress,
    ) -> None:
        self._source = source
        self._sink = sink
        self._mount_from = mount_from
        self._report = report
        self._progress = progress

    async def all(self, blobs: Mapping[Digest, Descriptor]) -> None:
        """With a repository to mount from, a mount is also the question whether it is there."""
        ahead = list(blobs.values())
        if self._mount_from is not None:
            mounts = [partial(self._mount, blob, self._mount_from) for blob in ahead]
            done = await bounded(mounts, MANY)
            ahead = [blob for blob, here in zip(ahead, done, strict=True) if not here]
        lacking = await self._sink.lacks([blob.digest for blob in ahead])
        for blob in ahead:
            if blob.digest not in lacking:
                self._done(blob, How.PRESENT)
        ahead = [blob for blob in ahead if blob.digest in lacking]
        small = [partial(self._send, blob) for blob in ahead if blob.size <= IN_MEMORY]
        large = [partial(self._send, blob) for blob in ahead if blob.size > IN_MEMORY]
        await together([bounded(small, MANY), bounded(large, FEW)])

    async def _mount(self, blob: Descriptor, repository: str) -> bool:
        mounted = await self._sink.mount(blob.digest, repository)
        if mounted:
            self._done(blob, How.MOUNTED)
        return mounted

    async def _send(self, blob: Descriptor) -> None:
        for attempt in range(ATTEMPTS):
            through = _Through(self._progress)
            try:
                await self._once(blob, through)
            except TlsProblem:
                raise
            except Unreachable:
                if attempt + 1 == ATTEMPTS:
                    raise
                self._progress(Advanced(blob.digest, -through.count))
            except BlobMissing:
                if not may_be_absent(blob):
                    raise
                return
            else:
                self._report.bytes_sent += blob.size
                self._done(blob, How.SENT)
                return

    async def _once(self, blob: Descriptor, through: "_Through") -> None:
        async with self._source.blob(blob.digest) as opened:
            chunks = watched(blob.digest, opened, through)
            if blob.size > IN_MEMORY:
                await self._sink.put_blob(blob.digest, blob.size, chunks)
                return
            data = await _whole(chunks, blob.size)
        await self._sink.put_blob(blob.digest, blob.size, one(data))

    def _done(self, blob: Descriptor, how: How) -> None:
        self._report.blobs[blob.digest] = how
        self._progress(Done(blob.digest, blob.size, how))


class _Through:
    """Counts what was told, so that it can be taken back."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.count = 0

    def __call__(self, event: transfer.Event) -> None:
        if isinstance(event, Advanced):
            self.count += event.count
        self._progress(event)


async def _whole(chunks: AsyncIterator[bytes], size: int) -> bytes:
    """All bytes, or one more than `size` of them: whoever checks the digest sees that."""
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > size:
            break
    return bytes(data)
