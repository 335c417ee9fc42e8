"""Checked fields of parsed JSON. `null` counts as absent, as it does for Go's readers."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from retinue.oci import digest as digests
from retinue.oci.descriptor import Descriptor
from retinue.oci.digest import Digest, InvalidDigest
from retinue.oci.platform import Platform
from retinue.strictjson import fold

MAX_SIZE = 2**63 - 1
"""The largest size that other readers can hold (a signed 64 bit integer), in bytes."""

ROOT = frozenset(
    {"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject"}
    | {"subjectManifest", "blobs", "annotations", "objects", "fsLayers"}
)
"""What any reader of any manifest looks for at the root."""
_DESCRIPTOR = frozenset(
    {"mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"}
)
_PLATFORM = frozenset({"architecture", "os", "os.version", "os.features", "variant", "features"})


class Malformed(Exception):
    """A field is not what its format says. Never leaves the package: `read` raises Unreadable."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


def struct(value: Any, known: frozenset[str], where: str) -> dict[str, Any]:
    """A JSON object none of whose keys could pass for a known one with readers that ignore case."""
    if type(value) is not dict:
        raise Malformed(where, "must be an object")
    if not known.issuperset(value):
        folded = {fold(name): name for name in known}
        for key in value.keys() - known:
            if fold(key) in folded:
                name = folded[fold(key)]
                raise Malformed(where, f"the key {key!r} passes for {name!r} with some readers")
    return value


def array(holder: Mapping[str, Any], name: str) -> list[Any]:
    """A list; absent is empty."""
    value = holder.get(name)
    if value is None:
        return []
    if type(value) is not list:
        raise Malformed(name, "must be an array")
    return value


def text(holder: Mapping[str, Any], name: str, where: str = "") -> str | None:
    """A string; absent and empty are None."""
    value = holder.get(name)
    if value is None:
        return None
    if type(value) is not str:
        raise Malformed(where + name, "must be a string")
    return value or None


def annotations(holder: Mapping[str, Any], where: str = "") -> Mapping[str, str]:
    """A map of strings to strings (image-spec annotations.md)."""
    value = holder.get("annotations")
    if value is None:
        return {}
    if type(value) is not dict:
        raise Malformed(f"{where}annotations", "must be an object")
    for key, item in value.items():
        if type(item) is not str:
            raise Malformed(f"{where}annotations", f"the value of {key[:80]!r} must be a string")
    return value


def one_descriptor(holder: Mapping[str, Any], name: str) -> Descriptor | None:
    value = holder.get(name)
    return None if value is None else _plain(value) or descriptor(value, name)


def descriptors(holder: Mapping[str, Any], name: str) -> tuple[Descriptor, ...]:
    items = array(holder, name)
    return tuple([_plain(item) or descriptor(item, f"{name}[{i}]") for i, item in enumerate(items)])


def _plain(value: Any) -> Descriptor | None:
    """Most descriptors have three fields and no fault: these need no names of places to blame."""
    if type(value) is not dict or len(value) != 3:
        return None
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if type(media_type) is str and media_type and type(size) is int and 0 <= size <= MAX_SIZE:
        found = digests.checked(digest) if type(digest) is str else None
        return Descriptor(media_type, found, size) if found else None
    return None


def descriptor(value: Any, where: str, *, untyped: str | None = None) -> Descriptor:
    """A descriptor (image-spec descriptor.md); `untyped` stands in for a missing media type."""
    struct(value, _DESCRIPTOR, where)
    media_type = value.get("mediaType") or untyped
    if type(media_type) is not str or not media_type:
        raise Malformed(f"{where}.mediaType", "must be a non-empty string")
    size = value.get("size")
    if type(size) is not int or not 0 <= size <= MAX_SIZE:
        raise Malformed(f"{where}.size", "must be an integer from 0 to 2^63-1")
    digest = digest_field(value.get("digest"), f"{where}.digest")
    if len(value) == 3:
        return Descriptor(media_type, digest, size)
    return Descriptor(
        media_type,
        digest,
        size,
        text(value, "artifactType", f"{where}."),
        annotations(value, f"{where}."),
        _platform(value.get("platform"), f"{where}.platform"),
        strings(value, "urls", where),
        _data(value.get("data"), digest, size, f"{where}.data"),
    )


def digest_field(value: Any, where: str) -> Digest:
    if type(value) is not str:
        raise Malformed(where, "must be a string")
    try:
        return digests.parse(value)
    except InvalidDigest as error:
        raise Malformed(where, error.reason) from None


def strings(holder: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = holder.get(name)
    if value is None:
        return ()
    if type(value) is not list or any(type(item) is not str for item in value):
        raise Malformed(f"{where}.{name}", "must be an array of strings")
    return tuple(value)


def _platform(value: Any, where: str) -> Platform | None:
    """Some tools write a platform of empty strings for what runs nowhere: that is none."""
    if value is None:
        return None
    struct(value, _PLATFORM, where)
    os, architecture = (text(value, name, f"{where}.") for name in ("os", "architecture"))
    strings(value, "features", where)  # reserved; checked, and of no use to anybody
    if os is None and architecture is None:
        return None
    if os is None or architecture is None:
        raise Malformed(where, "needs both os and architecture")
    return Platform(
        os,
        architecture,
        text(value, "variant", f"{where}."),
        text(value, "os.version", f"{where}."),
        strings(value, "os.features", where),
    )


def _data(value: Any, digest: Digest, size: int, where: str) -> bytes | None:
    """Embedded content must be the content (image-spec descriptor.md, "Embedded Content")."""
    if value is None:
        return None
    if type(value) is not str:
        raise Malformed(where, "must be a string in base64")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(where, "is not base64") from None
    check_content(data, digest, size, where)
    return data


def check_content(data: bytes, digest: Digest, size: int, where: str) -> None:
    if len(data) != size:
        raise Malformed(where, f"holds {len(data)} bytes where the descriptor says {size}")
    if (actual := digests.of(data, digests.algorithm(digest))) != digest:
        raise Malformed(where, f"hashes to {actual} where the descriptor says {digest}")
