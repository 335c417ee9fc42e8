"""Descriptors (image-spec descriptor.md)."""

from collections.abc import Mapping

from msgspec import Struct

from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.platform import Platform


class Descriptor(Struct, frozen=True):
    """A typed, sized pointer to content. `size` in bytes."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = {}
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    data: bytes | None = None


def may_be_absent(descriptor: Descriptor) -> bool:
    """Whether a manifest is complete without this blob: a non-distributable layer."""
    return descriptor.media_type in names.FOREIGN_LAYERS
