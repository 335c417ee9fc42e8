"""More recipients of an image that is already encrypted: as a paper, or merged for stock clients.

A paper is an artifact about the encrypted image, so that image's digest stays. Its one blob is JSON:
`{"layers": {"<digest of the encrypted layer>": "<base64 of a JWE>"}}`. Who writes one is not
authenticated, and need not be: a wrong key opens nothing (the layer's HMAC is in the image).
"""

import base64
import binascii
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from msgspec import Struct

from retinue import strictjson
from retinue.crypt import documents, options
from retinue.crypt.errors import MalformedOptions, NoKeyFits, NotEncryptable
from retinue.crypt.keys import Opener, Recipient
from retinue.crypt.layer import check_secret
from retinue.crypt.options import Secret
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.readers.table import read
from retinue.oci.stores import Sink, Source
from retinue.strictjson import InvalidJson

MAX_PAPER = 4 * 1024 * 1024
MAX_PAPERS = 1000
"""Papers of an image that are looked at."""
MAX_SECRETS = 64
"""Keys for one layer that are tried: anyone may wrap one for any recipient."""

Wrapped = Mapping[Digest, Sequence[bytes]]
"""JWEs that papers hold, by the digest of the encrypted layer."""


class Paper(Struct, frozen=True):
    """An artifact's manifest and its one blob."""

    manifest: Manifest
    blob: bytes


async def add_recipients(
    source: Source,
    image: Manifest,
    keys: Sequence[Opener],
    recipients: Sequence[Recipient],
    papers: Wrapped | None = None,
) -> Paper:
    """A paper with the layers' keys for these recipients too. One of `keys` must open each layer.

    Raises NoKeyFits, NotEncryptable, and Tampered where nothing that opens is a layer's key.
    """
    found: dict[Digest, bytes] = {}
    for layer in filter(documents.is_encrypted, documents.layers_of(image)):
        candidates = secrets_of(layer, keys, (papers or {}).get(layer.digest, ()))
        secret = await check_secret(source, layer, candidates)
        found[layer.digest] = options.wrap(secret, recipients)
    if not found:
        raise NotEncryptable(image.digest, "has no encrypted layer to add a recipient to")
    return write_paper(image, found)


def write_paper(image: Manifest, wrapped: Mapping[Digest, bytes]) -> Paper:
    encoded = {digest: base64.b64encode(each).decode() for digest, each in wrapped.items()}
    blob = documents.dump({"layers": encoded})
    empty = {
        "mediaType": names.OCI_EMPTY,
        "digest": digests.of(names.EMPTY_JSON),
        "size": len(names.EMPTY_JSON),
    }
    document = {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "artifactType": names.RECIPIENT,
        "config": empty | {"data": "e30="},
        "layers": [{"mediaType": names.RECIPIENT, "digest": digests.of(blob), "size": len(blob)}],
        "subject": {
            "mediaType": image.media_type,
            "digest": image.digest,
            "size": len(image.raw),
        },
    }
    return Paper(read(documents.dump(document), names.OCI_MANIFEST), blob)


async def put_paper(sink: Sink, paper: Paper) -> None:
    """Store it beside the image that it is about."""
    for data in (names.EMPTY_JSON, paper.blob):
        await sink.put_blob(digests.of(data), len(data), _once(data))
    await sink.put_manifest(paper.manifest)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def read_paper(blob: bytes) -> Mapping[Digest, bytes]:
    """JWEs by encrypted layer; raises MalformedOptions."""
    part = "recipient paper"
    try:
        document = strictjson.loads(blob, max_bytes=MAX_PAPER)
    except InvalidJson as error:
        raise MalformedOptions(part, str(error)) from None
    layers = document.get("layers") if type(document) is dict else None
    if type(layers) is not dict:
        raise MalformedOptions(part, "`layers` must be an object")
    found: dict[Digest, bytes] = {}
    for name, value in layers.items():
        digest = digests.checked(name)
        if digest is None or type(value) is not str:
            raise MalformedOptions(part, f"the layer {name[:80]!r} is no digest with a text")
        try:
            found[digest] = base64.b64decode(value.encode(), validate=True)
        except binascii.Error:
            raise MalformedOptions(part, f"the layer {name} is not base64") from None
    return found


async def find_papers(source: Source, image: Manifest) -> Wrapped:
    """What all recipient papers of an image hold that can be read; in the order that the store lists them."""
    links = (await source.papers([image.digest]))[image.digest].links
    sources = list(dict.fromkeys(link.source for link in links))[:MAX_PAPERS]
    manifests = await source.manifests(sources)
    papers: list[Mapping[Digest, bytes]] = []
    for digest in sources:
        paper = manifests.get(digest)
        if not isinstance(paper, Manifest):
            continue
        for blob in paper.blobs:
            if blob.media_type == names.RECIPIENT and blob.size <= MAX_PAPER:
                papers.extend(await _read_from(source, blob))
    return merged(papers)


async def _read_from(source: Source, blob: Descriptor) -> Sequence[Mapping[Digest, bytes]]:
    """One paper's content; none where it cannot be read: anyone may attach anything."""
    data = bytearray()
    async with source.blob(blob.digest) as chunks:
        async for chunk in chunks:
            data += chunk
            if len(data) > blob.size:
                return ()
    try:
        return (read_paper(bytes(data)),)
    except MalformedOptions:
        return ()


def merged(papers: Iterable[Mapping[Digest, bytes]]) -> Wrapped:
    """What several papers hold, as the other functions here take it."""
    found: dict[Digest, list[bytes]] = {}
    for paper in papers:
        for digest, wrapped in paper.items():
            found.setdefault(digest, []).append(wrapped)
    return found


def export(image: Manifest, papers: Wrapped) -> Manifest:
    """The image with the papers' recipients in its own annotations, where stock clients look.

    It has another digest: what was signed was the image, not this.
    """
    changes: dict[int, Mapping[str, str]] = {}
    for position, layer in enumerate(documents.layers_of(image)):
        own = options.read_wrapped(layer.annotations)
        added = [each for each in papers.get(layer.digest, ()) if each not in own]
        if documents.is_encrypted(layer) and added:
            text = options.write_wrapped([*own, *dict.fromkeys(added)])
            changes[position] = {names.ANNOTATION_ENC_JWE: text}
    return documents.annotated(image, changes) if changes else image


def secrets_of(
    layer: Descriptor, keys: Sequence[Opener], papers: Sequence[bytes] = ()
) -> Sequence[Secret]:
    """What these keys open of a layer's wrapped keys: the image's own, then papers'.

    What cannot be read is passed over: a broken paper must not block a good one. Raises NoKeyFits.
    """
    own = options.read_wrapped(layer.annotations)
    found: list[Secret] = []
    problems: list[str] = []
    for wrapped in (*own, *papers):
        try:
            secret = options.unwrap(wrapped, keys)
        except MalformedOptions as error:
            problems.append(str(error))
            continue
        if secret is not None and secret not in found:
            found.append(secret)
        if len(found) == MAX_SECRETS:
            break
    if not found:
        raise NoKeyFits(layer.digest, _why(layer, len(own) + len(papers), problems))
    return found


def _why(layer: Descriptor, count: int, problems: Sequence[str]) -> str:
    if problems:
        return f"no key given opens one of {count} wrapped keys ({problems[0]})"
    others = [each for each in options.other_schemes(layer.annotations) if each != "jwe"]
    if not count and others:
        return f"its key is wrapped with {', '.join(others)} only; JWE is understood here"
    return f"no key given opens one of {count} wrapped keys"
