"""Whole images: encrypted for recipients, and decrypted again, from one repository to another."""

from collections.abc import Awaitable, Callable, Collection, Sequence

from msgspec import Struct

from retinue.crypt import documents, layer, recipients
from retinue.crypt.documents import is_encrypted, layers_of
from retinue.crypt.errors import NotEncryptable
from retinue.crypt.keys import Opener, Recipient
from retinue.crypt.recipients import Wrapped
from retinue.oci import names
from retinue.oci.descriptor import Descriptor, may_be_absent
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.stores import BlobMissing, Sink, Source


class Change(Struct, frozen=True):
    """`manifest` is the new image or index. `left_out`: what the old index lists besides images."""

    manifest: Manifest
    left_out: tuple[Digest, ...] = ()


async def encrypt_image(
    source: Source,
    sink: Sink,
    image: Manifest,
    whom: Sequence[Recipient],
    *,
    only: Collection[int] | None = None,
) -> Change:
    """Store the image with its layers encrypted, each with a key of its own, for all of `whom`.

    `only`: positions of the layers to encrypt, negative ones from the end; without it, all. An
    index has its images encrypted; attestations in it, about what they no longer match, are left
    out. Nothing of the config is secret. Raises NotEncryptable.
    """

    async def change(manifest: Manifest) -> Manifest:
        return await _encrypt(source, sink, manifest, whom, only)

    return await _each(source, sink, image, change)


async def decrypt_image(
    source: Source,
    sink: Sink,
    image: Manifest,
    keys: Sequence[Opener],
    papers: Wrapped | None = None,
) -> Change:
    """Store the image with its layers decrypted; layers that are not encrypted are copied.

    `papers`: keys wrapped for further recipients (`recipients.merged`); without it, those beside
    the image in `source` are looked for. Nothing of a layer is stored before all of it is checked.
    Raises NoKeyFits, Tampered, NotEncryptable.
    """

    async def change(manifest: Manifest) -> Manifest:
        wrapped = await recipients.find_papers(source, manifest) if papers is None else papers
        return await _decrypt(source, sink, manifest, keys, wrapped)

    return await _each(source, sink, image, change)


async def export_image(source: Source, sink: Sink, image: Manifest) -> Change:
    """Store the encrypted image with the recipients of its papers merged in, for stock clients.

    Nothing is decrypted. Its digest is another one. Raises NotEncryptable.
    """

    async def change(manifest: Manifest) -> Manifest:
        found = await recipients.find_papers(source, manifest)
        for each in manifest.blobs:
            await _carry(source, sink, each)
        return recipients.export(manifest, found)

    return await _each(source, sink, image, change)


async def papers_about(source: Source, image: Manifest) -> tuple[Digest, ...]:
    """The papers of an image, and of each that an index lists, which a changed copy cannot have: they
    are about what was changed. Its recipients are no such papers.

    Raises NotEncryptable where it cannot be looked for them.
    """
    listed = [child.digest for child in image.children if _is_attestation(child)]
    subjects = {image.digest, *(each.digest for each in await _images(source, image))}
    found: dict[Digest, None] = dict.fromkeys(listed)
    for subject, search in (await source.papers(subjects)).items():
        for way, why in search.blind.items():
            raise NotEncryptable(subject, f"its papers cannot be looked for ({way}: {why})")
        found |= dict.fromkeys(link.source for link in search.links)
    manifests = await source.manifests(found)
    return tuple(digest for digest in found if not _is_recipient(manifests[digest]))


def _is_recipient(paper: object) -> bool:
    return isinstance(paper, Manifest) and paper.artifact_type == names.RECIPIENT


async def share_image(
    store: Source, sink: Sink, image: Manifest, keys: Sequence[Opener], whom: Sequence[Recipient]
) -> tuple[Digest, ...]:
    """Store a paper for further recipients beside the image, or beside each that an index lists.

    The image stays. Raises NoKeyFits, Tampered, NotEncryptable.
    """
    papers: list[Digest] = []
    for each in await _images(store, image):
        known = await recipients.find_papers(store, each)
        paper = await recipients.add_recipients(store, each, keys, whom, known)
        await recipients.put_paper(sink, paper)
        papers.append(paper.manifest.digest)
    return tuple(papers)


async def _each(
    source: Source, sink: Sink, top: Manifest, change: Callable[[Manifest], Awaitable[Manifest]]
) -> Change:
    """One image, or all that an index lists (one level: indexes of indexes are refused)."""
    images: dict[Digest, Manifest] = {}
    for manifest in await _images(source, top):
        images[manifest.digest] = await change(manifest)
        await sink.put_manifest(images[manifest.digest])
    if not top.children:
        return Change(images[top.digest])
    index = documents.reindexed(top, images)
    await sink.put_manifest(index)
    left = tuple(child.digest for child in top.children if child.digest not in images)
    return Change(index, left)


async def _images(source: Source, top: Manifest) -> Sequence[Manifest]:
    if not top.children:
        return [top]
    listed = [child.digest for child in top.children if not _is_attestation(child)]
    found = await source.manifests(listed)
    images: list[Manifest] = []
    for digest in dict.fromkeys(listed):
        manifest = found.get(digest)
        if not isinstance(manifest, Manifest):
            raise NotEncryptable(top.digest, f"lists {digest}, which cannot be read")
        images.append(manifest)
    return images


def _is_attestation(child: Descriptor) -> bool:
    return child.annotations.get(names.ANNOTATION_BUILDKIT_TYPE) == names.BUILDKIT_ATTESTATION


async def _encrypt(
    source: Source,
    sink: Sink,
    image: Manifest,
    whom: Sequence[Recipient],
    only: Collection[int] | None,
) -> Manifest:
    layers = layers_of(image)
    chosen = _positions(image, len(layers), only)
    changes: dict[int, layer.Ready] = {}
    for position, each in enumerate(layers):
        if position not in chosen:
            await _carry(source, sink, each)
            continue
        if is_encrypted(each):
            raise NotEncryptable(image.digest, "is encrypted; add a recipient to it instead")
        async with layer.encrypted(source, each, whom) as ready:
            await sink.put_blob(ready.digest, ready.size, ready.chunks)
            changes[position] = ready
    await _carry_config(source, sink, image)
    return documents.replaced(image, changes)


def _positions(image: Manifest, count: int, only: Collection[int] | None) -> Collection[int]:
    if only is None:
        return range(count)
    for each in only:
        if not -count <= each < count:
            raise NotEncryptable(image.digest, f"has {count} layers, none at {each}")
    return {each % count for each in only}


async def _decrypt(
    source: Source, sink: Sink, image: Manifest, keys: Sequence[Opener], papers: Wrapped
) -> Manifest:
    layers = layers_of(image)
    wanted = documents.diff_ids(image, await _config(source, image))
    changes: dict[int, layer.Ready] = {}
    for position, (each, diff_id) in enumerate(zip(layers, wanted, strict=True)):
        if not is_encrypted(each):
            await _carry(source, sink, each)
            continue
        candidates = recipients.secrets_of(each, keys, papers.get(each.digest, ()))
        async with layer.decrypted(source, each, candidates, diff_id) as ready:
            await sink.put_blob(ready.digest, ready.size, ready.chunks)
            changes[position] = ready
    await _carry_config(source, sink, image)
    return documents.replaced(image, changes)


async def _config(source: Source, image: Manifest) -> bytes:
    assert image.config is not None
    if image.config.size > documents.MAX_CONFIG:
        raise NotEncryptable(image.digest, f"its config has {image.config.size} bytes")
    parts: list[bytes] = []
    size = 0
    async with source.blob(image.config.digest) as chunks:
        async for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size > image.config.size:
                raise NotEncryptable(image.digest, "its config is larger than it should be")
    return b"".join(parts)


async def _carry_config(source: Source, sink: Sink, image: Manifest) -> None:
    assert image.config is not None
    await _carry(source, sink, image.config)


async def _carry(source: Source, sink: Sink, blob: Descriptor) -> None:
    if not await sink.lacks([blob.digest]):
        return
    try:
        async with source.blob(blob.digest) as chunks:
            await sink.put_blob(blob.digest, blob.size, chunks)
    except BlobMissing:
        if not may_be_absent(blob):
            raise
