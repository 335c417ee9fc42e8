"""One layer, encrypted and decrypted as it streams by.

Ciphertext waits in a nameless temporary file, since its digest must be known before it is stored,
and since plaintext is released only after the HMAC, its own digest, and its diff ID match. Plaintext
never touches a disk here.
"""

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import IO

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from msgspec import Struct

from retinue.crypt import options
from retinue.crypt.errors import NotEncryptable, Tampered
from retinue.crypt.keys import Recipient
from retinue.crypt.options import Secret
from retinue.crypt.unpack import Damaged, unpacked_digest
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest
from retinue.oci.stores import Source

CHUNK = 256 * 1024
IN_MEMORY = 8 * 1024 * 1024
"""Of ciphertext, in bytes; the rest of it waits in a temporary file."""


_OCI_TYPES = {
    names.DOCKER_LAYER: names.OCI_LAYER,
    names.DOCKER_LAYER_GZIP: names.OCI_LAYER_GZIP,
}
ENCRYPTABLE = frozenset(
    {names.OCI_LAYER, names.OCI_LAYER_GZIP, names.OCI_LAYER_ZSTD}
    | {name for name in names.FOREIGN_LAYERS if name.startswith("application/vnd.oci.")}
)


class Ready(Struct, frozen=True):
    """A blob that can be stored: `chunks` gives its bytes once. `annotations`: those to be added."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str]
    chunks: AsyncIterator[bytes]


def sealed_type(layer: Descriptor) -> str:
    """The media type once it is encrypted; Docker's layers become OCI's, which have such types.

    Raises NotEncryptable for what has none.
    """
    media_type = _OCI_TYPES.get(layer.media_type, layer.media_type)
    if media_type not in ENCRYPTABLE:
        raise NotEncryptable(layer.digest, f"is a layer of the type {layer.media_type}")
    return media_type + names.ENCRYPTED_SUFFIX


@asynccontextmanager
async def encrypted(
    source: Source, layer: Descriptor, recipients: Sequence[Recipient]
) -> AsyncIterator[Ready]:
    """A layer's ciphertext under a key of its own, which only these recipients can open."""
    media_type = sealed_type(layer)
    key, nonce = secrets.token_bytes(options.KEY_SIZE), secrets.token_bytes(options.NONCE_SIZE)
    cipher, mac = _cipher(key, nonce), hmac.new(key, digestmod=hashlib.sha256)
    running = digests.hasher("sha256")
    with SpooledTemporaryFile(IN_MEMORY) as file:
        async with source.blob(layer.digest) as chunks:
            async for chunk in chunks:
                sealed = cipher.update(chunk)
                mac.update(sealed)
                running.update(sealed)
                file.write(sealed)
        secret = options.make_secret(key, nonce, layer.digest)
        yield Ready(
            media_type,
            digests.parse(f"sha256:{running.hexdigest()}"),
            file.tell(),
            {
                names.ANNOTATION_ENC_JWE: options.write_wrapped([options.wrap(secret, recipients)]),
                names.ANNOTATION_ENC_PUBOPTS: options.write_public(mac.digest()),
            },
            _stream(_read(file)),
        )


@asynccontextmanager
async def decrypted(
    source: Source, layer: Descriptor, candidates: Sequence[Secret], diff_id: Digest
) -> AsyncIterator[Ready]:
    """A layer's plaintext, checked whole before its first byte is given.

    `candidates` come from whoever wrapped a key; the HMAC says which of them is the layer's. Raises
    Tampered.
    """
    with SpooledTemporaryFile(IN_MEMORY) as file:
        secret = await _fill(file, source, layer, candidates)
        media_type = layer.media_type.removesuffix(names.ENCRYPTED_SUFFIX)
        _check_unpacked(file, layer.digest, secret, media_type, diff_id)
        digest = _check_plaintext(file, layer.digest, secret, diff_id)
        yield Ready(media_type, digest, layer.size, {}, _stream(_plain(file, secret)))


async def check_secret(source: Source, layer: Descriptor, candidates: Sequence[Secret]) -> Secret:
    """Which of these is the layer's, by its HMAC; raises Tampered."""
    return await _fill(None, source, layer, candidates)


async def _fill(
    file: IO[bytes] | None, source: Source, layer: Descriptor, candidates: Sequence[Secret]
) -> Secret:
    """Keep the ciphertext, and say which of the candidates is its secret."""
    expected = options.read_public(layer.annotations)
    macs = [hmac.new(each.key, digestmod=hashlib.sha256) for each in candidates]
    size = 0
    async with source.blob(layer.digest) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > layer.size:
                raise Tampered(layer.digest, f"has more than the {layer.size} bytes it should")
            for mac in macs:
                mac.update(chunk)
            if file is not None:
                file.write(chunk)
    if size != layer.size:
        raise Tampered(layer.digest, f"has {size} bytes, not {layer.size}")
    for secret, mac in zip(candidates, macs, strict=True):
        if hmac.compare_digest(mac.digest(), expected):
            return secret
    raise Tampered(layer.digest, "its HMAC does not match")


def _check_plaintext(file: IO[bytes], layer: Digest, secret: Secret, diff_id: Digest) -> Digest:
    """The plaintext's digest, which must be the one that was wrapped with the key.

    Tools that compress and encrypt at once (buildah, skopeo) wrap the one from before they
    compressed: that is the diff ID, which has been checked.
    """
    name = digests.algorithm(secret.digest)
    running = digests.hasher(name)
    for chunk in _plain(file, secret):
        running.update(chunk)
    found = digests.parse(f"{name}:{running.hexdigest()}")
    if secret.digest not in {found, diff_id}:
        raise Tampered(layer, "its plaintext has not the digest that was wrapped with the key")
    return found


def _check_unpacked(
    file: IO[bytes], layer: Digest, secret: Secret, media_type: str, diff_id: Digest
) -> None:
    try:
        found = unpacked_digest(media_type, _plain(file, secret), diff_id)
    except Damaged as error:
        raise Tampered(layer, f"its plaintext cannot be unpacked: {error}") from None
    if found != diff_id:
        raise Tampered(layer, f"its plaintext unpacks to {found}, not to the diff ID {diff_id}")


def _cipher(key: bytes, nonce: bytes) -> CipherContext:
    return Cipher(AES(key), CTR(nonce)).encryptor()  # CTR goes the same way both times


def _plain(file: IO[bytes], secret: Secret) -> Iterator[bytes]:
    cipher = _cipher(secret.key, secret.nonce)
    return map(cipher.update, _read(file))


def _read(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk


async def _stream(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
