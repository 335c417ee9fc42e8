"""From raw bytes to a Manifest: one reader per media type, in one table."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from retinue import strictjson
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.links import Link, Rel, Way
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.readers import artifact, fields, image, index, jws, objects
from retinue.oci.readers.fields import Malformed
from retinue.oci.readers.objects import GenericObject
from retinue.oci.readers.parts import Parts
from retinue.strictjson import InvalidJson


class Limits(Struct, frozen=True):
    """Bounds of one manifest: its size in bytes, the depth of its JSON, the links it states."""

    max_bytes: int = strictjson.MAX_BYTES
    max_depth: int = strictjson.MAX_DEPTH
    max_links: int = 20_000


LIMITS = Limits()


class Format(Struct, frozen=True):
    """How one media type is read. `versions` are the values that schemaVersion may have."""

    read: Callable[[Mapping[str, Any]], Parts]
    versions: frozenset[Any] | None = frozenset({2})
    names_itself: bool = False
    """Whether `mediaType` must be in the body; where it is, it must be right in any case."""
    unwrap: Callable[[bytes], bytes] | None = None
    """From the bytes to the JSON in them, where they are not JSON themselves."""


FORMATS: Mapping[str, Format] = {
    names.OCI_MANIFEST: Format(image.read_image),
    names.OCI_INDEX: Format(index.read_index),
    names.DOCKER_MANIFEST: Format(image.read_image, names_itself=True),
    names.DOCKER_LIST: Format(index.read_index, names_itself=True),
    names.OCI_ARTIFACT: Format(artifact.read_oci_artifact, None),
    names.OCI_ARTIFACT_RC1: Format(artifact.read_oci_artifact, None),
    names.ORAS_ARTIFACT: Format(artifact.read_oras_artifact, None),
    names.OCI_OBJECT: Format(objects.read_objects, objects.VERSIONS, names_itself=True),
    names.OCI_OBJECT_JWT: Format(
        objects.read_objects, objects.VERSIONS, names_itself=True, unwrap=jws.payload
    ),
}

_SCHEMA1 = (
    "Docker's image format of 2015 (schema 1) is not supported; pull the image with a current "
    "client and push it again, or convert it with `skopeo copy --format oci`"
)


def read(
    raw: bytes, media_type: str, algorithm: str = "sha256", *, limits: Limits = LIMITS
) -> Manifest:
    """Read a manifest of the declared type (no parameters); its digest is by `algorithm`.

    Raises Unreadable, and InvalidDigest for an algorithm that is not supported. Over 100 KB it
    belongs off the event loop.
    """
    digest = digests.of(raw, algorithm)
    with _naming(digest):
        return _manifest(raw, media_type, digest, _parts(raw, media_type, limits), limits)


def read_generic(manifest: Manifest, *, limits: Limits = LIMITS) -> tuple[GenericObject, ...]:
    """The objects of a generic manifest; none for other types. Raises Unreadable."""
    form = FORMATS[manifest.media_type]
    if form.read is not objects.read_objects:
        return ()
    with _naming(manifest.digest):
        return objects.parse_objects(_root(manifest.raw, manifest.media_type, form, limits))


@contextmanager
def _naming(digest: Digest) -> Iterator[None]:
    """Errors inside say which manifest they are about."""
    try:
        yield
    except Malformed as error:
        raise Unreadable(digest, error.where, error.reason) from None
    except InvalidJson as error:
        raise Unreadable(digest, error.key or "body", str(error)) from None


def _parts(raw: bytes, media_type: str, limits: Limits) -> Parts:
    form = FORMATS.get(media_type)
    if form is None:
        raise Malformed("mediaType", _why_unknown(media_type))
    return form.read(_root(raw, media_type, form, limits))


def _root(raw: bytes, media_type: str, form: Format, limits: Limits) -> dict[str, Any]:
    if len(raw) > limits.max_bytes:
        raise Malformed("body", f"{len(raw)} bytes are more than the {limits.max_bytes} allowed")
    body = raw if form.unwrap is None else form.unwrap(raw)
    value = strictjson.loads(body, max_depth=limits.max_depth, max_bytes=limits.max_bytes)
    root = fields.struct(value, fields.ROOT, "body")
    stated = fields.text(root, "mediaType")
    if stated != media_type and (stated is not None or form.names_itself):
        raise Malformed("mediaType", f"is {stated!r} in the body, but {media_type!r} was declared")
    if form.versions is not None:
        _check_version(root.get("schemaVersion"), form.versions)
    return root


def _check_version(version: Any, allowed: frozenset[Any]) -> None:
    if type(version) not in {int, str} or version not in allowed:
        wanted = " or ".join(sorted(map(repr, allowed)))
        raise Malformed("schemaVersion", f"must be {wanted}, not {version!r:.40}")


def _why_unknown(media_type: str) -> str:
    if media_type in {names.DOCKER_SCHEMA1, names.DOCKER_SCHEMA1_SIGNED}:
        return _SCHEMA1
    known = ", ".join(sorted(FORMATS))
    return f"{media_type[:160]!r} is not a type of manifest that can be read; these are: {known}"


def _manifest(
    raw: bytes, media_type: str, digest: Digest, parts: Parts, limits: Limits
) -> Manifest:
    count = len(parts.blobs) + len(parts.children) + len(parts.about) + len(parts.mentions)
    if count > limits.max_links:
        raise Malformed("body", f"{count} links are more than the {limits.max_links} allowed")
    if parts.artifact_type is not None and "\0" in parts.artifact_type:
        # No media type has one (RFC 6838 section 4.2), and PostgreSQL cannot hold it.
        raise Malformed("artifactType", "has a zero byte")
    return Manifest(
        raw,
        media_type,
        digest,
        parts.artifact_type,
        parts.annotations,
        _links(digest, parts),
        parts.blobs,
        parts.children,
        parts.subject,
        parts.config,
    )


def _links(digest: Digest, parts: Parts) -> tuple[Link, ...]:
    """One link per relation and target, however often the document repeats it."""
    about = parts.about if parts.subject is None else (parts.subject, *parts.about)
    links: list[Link] = []
    for rel, descriptors in (
        (Rel.BLOB, parts.blobs),
        (Rel.REFERENCE, parts.children),
        (Rel.SUBJECT, about),
    ):
        once: dict[Digest, int] = {}
        for item in descriptors:
            once.setdefault(item.digest, item.size)
        links += [Link(digest, target, rel, digest, _DIRECT, size) for target, size in once.items()]
    links += [
        Link(paper, subject, Rel.SUBJECT, digest, Way.INDEX)
        for paper, subject in dict.fromkeys(parts.mentions)
    ]
    return tuple(links)


_DIRECT = Way.REFERRERS
