"""Encrypted images: only recipients read them, and only what was encrypted comes out."""

import base64
import hashlib
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import builders
from retinue.crypt import options
from retinue.crypt.documents import layers_of
from retinue.crypt.errors import CryptError, MalformedOptions, NoKeyFits, NotEncryptable, Tampered
from retinue.crypt.image import decrypt_image, encrypt_image, export_image, share_image
from retinue.crypt.keys import Opener
from retinue.crypt.layer import encrypted
from retinue.crypt.recipients import (
    _once,
    add_recipients,
    export,
    merged,
    put_paper,
    read_paper,
    secrets_of,
    write_paper,
)
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.memory import MemoryStore
from retinue.oci.readers.table import read
from retinue.oci.stores import DigestMismatch
from unit.crypt.world import ALICE, BOB, CAROL, MALLORY, PLAIN, edited, put_image

ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def encrypt(store: MemoryStore, image: Manifest, *keys: Opener) -> Manifest:
    whom = [key.public_key() for key in keys]
    return (await encrypt_image(store, store, image, whom)).manifest


async def decrypt(store: MemoryStore, image: Manifest, key: Opener, **more: Any) -> Manifest:
    return (await decrypt_image(store, MemoryStore(), image, [key], **more)).manifest


@pytest.mark.parametrize("key", [ALICE, BOB, CAROL], ids=["rsa", "p256", "p521"])
async def test_each_recipient_reads_the_image(store: MemoryStore, key: Opener) -> None:
    image = put_image(store)

    sealed = await encrypt(store, image, ALICE, BOB, CAROL)

    assert image.digest == (await decrypt(store, sealed, key)).digest


async def test_nothing_of_the_plaintext_is_in_what_is_written(store: MemoryStore) -> None:
    image = put_image(store)
    there = MemoryStore()

    sealed = (await encrypt_image(store, there, image, [BOB.public_key()])).manifest

    plain = {blob.digest for blob in image.blobs[1:]}
    assert not plain & there.blobs.keys()
    assert [f"{b.media_type}+encrypted" for b in image.blobs[1:]] == [
        b.media_type for b in sealed.blobs[1:]
    ]


async def test_inline_data_and_urls_of_a_layer_go(store: MemoryStore) -> None:
    image = put_image(store, [(b"x", names.OCI_LAYER)])

    def inline(document: Any) -> None:
        document["layers"][0] |= {"data": "eA==", "urls": ["https://x.example/"]}
        document["layers"][0]["annotations"] = {"kept": "yes"}

    sealed = await encrypt(store, edited(store, image, inline), BOB)

    [layer] = json.loads(sealed.raw)["layers"]
    assert layer.keys() == {"mediaType", "digest", "size", "annotations"}
    assert layer["annotations"]["kept"] == "yes"


async def test_layers_of_dockers_types_become_ocis(store: MemoryStore) -> None:
    image = put_image(store, [(PLAIN, names.OCI_LAYER_GZIP)])
    mixed = edited(store, image, lambda d: d["layers"][0].update(mediaType=names.DOCKER_LAYER_GZIP))

    assert image.digest == (await decrypt(store, await encrypt(store, mixed, BOB), BOB)).digest


async def test_layers_of_unknown_types_are_refused(store: MemoryStore) -> None:
    image = put_image(store)
    other = edited(store, image, lambda d: d["layers"][0].update(mediaType="text/plain"))

    with pytest.raises(NotEncryptable, match="text/plain"):
        await encrypt(store, other, BOB)


async def test_every_layer_has_a_key_of_its_own(store: MemoryStore) -> None:
    sealed = await encrypt(store, put_image(store, [(b"x", names.OCI_LAYER)] * 2), BOB)

    first, second = (secrets_of(layer, [BOB])[0] for layer in layers_of(sealed))
    assert first.key != second.key
    assert first.nonce != second.nonce


async def test_some_layers_may_stay_as_they_are(store: MemoryStore) -> None:
    image = put_image(store)

    sealed = (await encrypt_image(store, store, image, [BOB.public_key()], only=[-1])).manifest

    assert image.blobs[1] == sealed.blobs[1]
    assert image.digest == (await decrypt(store, sealed, BOB)).digest
    with pytest.raises(NotEncryptable, match="none at 2"):
        await encrypt_image(store, store, image, [BOB.public_key()], only=[2])


async def test_an_index_has_its_images_encrypted_and_its_attestations_left_out(
    store: MemoryStore,
) -> None:
    image, other = put_image(store), put_image(store, annotations={"a": "b"})
    paper = put_image(store, annotations={"paper": "yes"})
    marks = {
        names.ANNOTATION_BUILDKIT_TYPE: names.BUILDKIT_ATTESTATION,
        names.ANNOTATION_BUILDKIT_DIGEST: image.digest,
    }
    index = builders.index(
        builders.pointer(image, platform={"os": "linux", "architecture": "amd64"}),
        builders.pointer(other),
        builders.pointer(paper, annotations=marks),
    )

    change = await encrypt_image(store, store, index, [BOB.public_key()])
    back = await decrypt_image(store, MemoryStore(), change.manifest, [BOB])

    assert (paper.digest,) == change.left_out
    assert [image.digest, other.digest] == [child.digest for child in back.manifest.children]
    assert change.manifest.children[0].platform == index.children[0].platform


async def test_zstd_layers(store: MemoryStore) -> None:
    pytest.importorskip("backports.zstd")
    image = put_image(store, [(PLAIN, ZSTD)])

    assert image.digest == (await decrypt(store, await encrypt(store, image, BOB), BOB)).digest


async def test_a_key_of_no_recipient_opens_nothing(store: MemoryStore) -> None:
    sealed = await encrypt(store, put_image(store), ALICE, BOB)
    there = MemoryStore()

    with pytest.raises(NoKeyFits):
        await decrypt_image(store, there, sealed, [MALLORY, CAROL])
    assert not there.blobs


async def test_an_encrypted_image_is_not_encrypted_again(store: MemoryStore) -> None:
    sealed = await encrypt(store, put_image(store), BOB)

    with pytest.raises(NotEncryptable, match="add a recipient"):
        await encrypt(store, sealed, ALICE)


@pytest.mark.parametrize("media_type", [names.DOCKER_MANIFEST, names.OCI_INDEX])
async def test_what_is_no_oci_image_is_refused(store: MemoryStore, media_type: str) -> None:
    image = put_image(store)
    other = Manifest(image.raw, media_type, image.digest, None, {}, ())

    with pytest.raises(NotEncryptable):
        await encrypt(store, other, BOB)


# ---- Tampering: nothing is written


def _public(change: Callable[[dict[str, Any]], Any]) -> Callable[[Any], None]:
    def edit(document: Any) -> None:
        annotations = document["layers"][0]["annotations"]
        opened = json.loads(base64.b64decode(annotations[names.ANNOTATION_ENC_PUBOPTS]))
        change(opened)
        changed = base64.b64encode(builders.dump(opened)).decode()
        annotations[names.ANNOTATION_ENC_PUBOPTS] = changed

    return edit


@pytest.mark.parametrize(
    "change",
    [
        _public(lambda o: o.update(hmac=base64.b64encode(bytes(32)).decode())),
        _public(lambda o: o.update(hmac="")),
        _public(lambda o: o.pop("hmac")),
        _public(lambda o: o.update(cipher="AES_256_CTR")),
        lambda d: d["layers"][0]["annotations"].pop(names.ANNOTATION_ENC_PUBOPTS),
        lambda d: d["layers"][0]["annotations"].pop(names.ANNOTATION_ENC_JWE),
        lambda d: d["layers"][0]["annotations"].update({names.ANNOTATION_ENC_JWE: "!"}),
        lambda d: d["layers"][0].update(mediaType=names.OCI_LAYER + "+encrypted"),  # not gzip
    ],
    ids=range(8),
)
async def test_a_changed_manifest_yields_nothing(
    store: MemoryStore, change: Callable[[Any], None]
) -> None:
    sealed = await encrypt(store, put_image(store), BOB)
    there = MemoryStore()

    with pytest.raises(CryptError):
        await decrypt_image(store, there, edited(store, sealed, change), [BOB])
    assert not there.blobs


async def test_a_nonce_in_the_open_is_not_used(store: MemoryStore) -> None:
    image = put_image(store)
    sealed = await encrypt(store, image, BOB)
    nonce = {"nonce": base64.b64encode(bytes(16)).decode()}

    changed = edited(store, sealed, _public(lambda o: o.update(cipheroptions=nonce)))

    assert image.digest == (await decrypt(store, changed, BOB)).digest


async def test_changed_ciphertext_yields_nothing(store: MemoryStore) -> None:
    sealed = await encrypt(store, put_image(store), BOB)
    blob = bytearray(store.blobs[sealed.blobs[1].digest])
    blob[0] ^= 1
    store.blobs[digests.of(bytes(blob))] = bytes(blob)
    changed = edited(store, sealed, lambda d: d["layers"][0].update(digest=digests.of(bytes(blob))))
    there = MemoryStore()

    with pytest.raises(Tampered, match="HMAC"):
        await decrypt_image(store, there, changed, [BOB])
    assert not there.blobs


async def test_a_blob_of_another_size_yields_nothing(store: MemoryStore) -> None:
    sealed = await encrypt(store, put_image(store), BOB)
    size = sealed.blobs[1].size
    for other in (size - 1, size + 1):
        changed = edited(store, sealed, lambda d, n=other: d["layers"][0].update(size=n))
        with pytest.raises(Tampered, match="bytes"):
            await decrypt(store, changed, BOB)


async def test_another_diff_id_in_the_config_yields_nothing(store: MemoryStore) -> None:
    """Whoever knows a recipient's public key can wrap any key: the config binds the content."""
    wrong = ["sha256:" + "0" * 64] * 2
    sealed = await encrypt(store, put_image(store, diff_ids=wrong), BOB)
    there = MemoryStore()

    with pytest.raises(Tampered, match="diff ID"):
        await decrypt_image(store, there, sealed, [BOB])
    assert not there.blobs


async def test_another_plaintext_digest_under_the_wrap_yields_nothing(store: MemoryStore) -> None:
    sealed = await encrypt(store, put_image(store), BOB)
    layer = layers_of(sealed)[0]
    [secret] = secrets_of(layer, [BOB])
    forged = options.make_secret(secret.key, secret.nonce, digests.of(b"another"))
    text = options.write_wrapped([options.wrap(forged, [BOB.public_key()])])
    changed = edited(
        store,
        sealed,
        lambda d: d["layers"][0]["annotations"].update({names.ANNOTATION_ENC_JWE: text}),
    )

    with pytest.raises(Tampered, match="plaintext has not the digest"):
        await decrypt(store, changed, BOB)


async def test_bytes_that_change_in_the_store_are_not_encrypted(store: MemoryStore) -> None:
    """Stores say so at the end of a blob; the fake here does as they do."""
    image = put_image(store)

    class Changing(MemoryStore):
        def blob(self, digest: Any, start: int = 0) -> Any:
            raise DigestMismatch(digest, digests.of(b"other"))

    there = MemoryStore()
    with pytest.raises(DigestMismatch):
        await encrypt_image(Changing(), there, image, [BOB.public_key()])
    assert not there.content


async def test_the_digest_from_before_compression_may_be_what_was_wrapped(
    store: MemoryStore,
) -> None:
    """As buildah and skopeo do, which compress and encrypt at once."""
    image = put_image(store)
    sealed = await encrypt(store, image, BOB)
    layer = layers_of(sealed)[0]
    [secret] = secrets_of(layer, [BOB])
    own = options.make_secret(secret.key, secret.nonce, digests.of(PLAIN))
    text = options.write_wrapped([options.wrap(own, [BOB.public_key()])])
    theirs = edited(
        store,
        sealed,
        lambda d: d["layers"][0]["annotations"].update({names.ANNOTATION_ENC_JWE: text}),
    )

    assert image.digest == (await decrypt(store, theirs, BOB)).digest


# ---- Recipients as papers


async def test_a_recipient_is_added_as_a_paper_and_the_image_stays(store: MemoryStore) -> None:
    image = put_image(store)
    sealed = await encrypt(store, image, ALICE)

    paper = await add_recipients(store, sealed, [ALICE], [BOB.public_key()])
    await put_paper(store, paper)

    found = (await store.papers([sealed.digest]))[sealed.digest]
    assert [paper.manifest.digest] == [link.source for link in found.links]
    assert paper.manifest.artifact_type == names.RECIPIENT
    with pytest.raises(NoKeyFits):
        await decrypt(store, sealed, BOB, papers={})
    wrapped = merged([read_paper(store.blobs[paper.manifest.blobs[1].digest])])
    assert image.digest == (await decrypt(store, sealed, BOB, papers=wrapped)).digest


async def test_papers_are_found_beside_the_image_by_decrypt_share_and_export(
    store: MemoryStore,
) -> None:
    image, other = put_image(store), put_image(store, annotations={"a": "b"})
    index = builders.index(image, other)
    sealed = (await encrypt_image(store, store, index, [ALICE.public_key()])).manifest

    papers = await share_image(store, store, sealed, [ALICE], [BOB.public_key()])
    more = await share_image(store, store, sealed, [BOB], [CAROL.public_key()])

    assert len({*papers, *more}) == 4
    exported = (await export_image(store, store, sealed)).manifest
    for key in (ALICE, BOB, CAROL):
        back = (await decrypt_image(store, MemoryStore(), sealed, [key])).manifest
        assert [image.digest, other.digest] == [child.digest for child in back.children]
        there = (await decrypt_image(store, MemoryStore(), exported, [key], {})).manifest
        assert back == there
    with pytest.raises(NoKeyFits):
        await decrypt_image(store, MemoryStore(), sealed, [MALLORY])


async def test_a_paper_that_cannot_be_read_is_passed_over(store: MemoryStore) -> None:
    image = put_image(store)
    sealed = await encrypt(store, image, ALICE)
    paper = write_paper(sealed, {})
    broken = b"not JSON"
    document = json.loads(paper.manifest.raw)
    document["layers"] = [builders.describe(broken, names.RECIPIENT)]
    store.blobs[digests.of(broken)] = broken
    await store.put_blob(digests.of(b"{}"), 2, _once(b"{}"))
    await store.put_manifest(read(builders.dump(document), names.OCI_MANIFEST))

    await share_image(store, store, sealed, [ALICE], [BOB.public_key()])

    assert image.digest == (await decrypt(store, sealed, BOB)).digest


async def test_memory_stays_bounded(store: MemoryStore) -> None:
    """A layer of 48 MiB, with 8 MiB of it in memory at most, and the rest in a file."""
    piece = bytes(range(256)) * 1024
    count = 192
    running = hashlib.sha256()
    for _ in range(count):
        running.update(piece)
    digest = digests.parse(f"sha256:{running.hexdigest()}")
    layer = Descriptor(names.OCI_LAYER, digest, count * len(piece))

    class Large(MemoryStore):
        @asynccontextmanager
        async def blob(self, digest: Digest, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
            async def chunks() -> AsyncIterator[bytes]:
                for _ in range(count):
                    yield piece

            yield chunks()

    tracemalloc.start()
    try:
        async with encrypted(Large(), layer, [BOB.public_key()]) as ready:
            async for chunk in ready.chunks:
                assert chunk
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ready.size == layer.size
    assert peak < 24 * 1024 * 1024


async def test_who_reads_by_a_paper_adds_the_next(store: MemoryStore) -> None:
    image = put_image(store)
    sealed = await encrypt(store, image, ALICE)
    for_bob = await add_recipients(store, sealed, [ALICE], [BOB.public_key()])
    bobs = merged([read_paper(for_bob.blob)])

    for_carol = await add_recipients(store, sealed, [BOB], [CAROL.public_key()], bobs)

    wrapped = merged([read_paper(for_carol.blob)])
    assert image.digest == (await decrypt(store, sealed, CAROL, papers=wrapped)).digest


async def test_a_plain_image_has_no_recipients(store: MemoryStore) -> None:
    with pytest.raises(NotEncryptable, match="no encrypted layer"):
        await add_recipients(store, put_image(store), [ALICE], [BOB.public_key()])


async def test_who_cannot_read_adds_nobody(store: MemoryStore) -> None:
    sealed = await encrypt(store, put_image(store), ALICE)

    with pytest.raises(NoKeyFits):
        await add_recipients(store, sealed, [MALLORY], [MALLORY.public_key()])


async def test_forged_and_broken_papers_do_not_block_a_good_one(store: MemoryStore) -> None:
    image = put_image(store)
    sealed = await encrypt(store, image, ALICE)
    good = await add_recipients(store, sealed, [ALICE], [BOB.public_key()])
    lie = options.make_secret(bytes(32), bytes(16), digests.of(b"lie"))
    forged = {b.digest: options.wrap(lie, [BOB.public_key()]) for b in sealed.blobs[1:]}
    broken = {b.digest: b"{}" for b in sealed.blobs[1:]}
    papers = merged([broken, read_paper(write_paper(sealed, forged).blob), read_paper(good.blob)])

    assert image.digest == (await decrypt(store, sealed, BOB, papers=papers)).digest
    next_one = await add_recipients(store, sealed, [BOB], [CAROL.public_key()], papers)
    wrapped = merged([read_paper(next_one.blob)])
    assert image.digest == (await decrypt(store, sealed, CAROL, papers=wrapped)).digest


async def test_forged_papers_alone_yield_nothing(store: MemoryStore) -> None:
    sealed = await encrypt(store, put_image(store), ALICE)
    lie = options.make_secret(bytes(32), bytes(16), digests.of(b"lie"))
    forged = merged([{b.digest: options.wrap(lie, [BOB.public_key()]) for b in sealed.blobs[1:]}])

    with pytest.raises(Tampered):
        await decrypt(store, sealed, BOB, papers=forged)
    with pytest.raises(Tampered):
        await add_recipients(store, sealed, [BOB], [CAROL.public_key()], forged)


async def test_an_export_is_read_without_papers(store: MemoryStore) -> None:
    image = put_image(store)
    sealed = await encrypt(store, image, ALICE)
    wrapped = merged(
        [read_paper((await add_recipients(store, sealed, [ALICE], [BOB.public_key()])).blob)]
    )

    exported = export(sealed, wrapped)

    assert exported.digest != sealed.digest
    for key in (ALICE, BOB):
        assert image.digest == (await decrypt(store, exported, key)).digest
    assert export(exported, wrapped) == exported


@pytest.mark.parametrize(
    "blob",
    [b"", b"[]", b"{}", b'{"layers":[]}', b'{"layers":{"x":"eA=="}}', b'{"layers":{"sha256:0":1}}'],
)
def test_papers_that_cannot_be_read(blob: bytes) -> None:
    with pytest.raises(MalformedOptions):
        read_paper(blob)
