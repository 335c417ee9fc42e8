"""Descriptors (image-spec descriptor.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A typed, sized pointer to content. `size` in bytes."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    data: bytes | None = None


def may_be_absent(descriptor: Descriptor) -> bool:
    """Whether a manifest is complete without this blob: a non-distributable layer."""
    return descriptor.media_type in names.FOREIGN_LAYERS
