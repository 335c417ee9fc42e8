"""Choosing one object of a generic manifest, and following pointers.

The registry never chooses for a client: it serves stored bytes whatever the client accepts.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence

from retinue.errors import RetinueError
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.platform import Platform
from retinue.oci.readers.objects import GenericObject
from retinue.oci.readers.table import read_generic

MAX_POINTERS = 16
"""The longest chain of pointers that is followed."""


class NoPointerEnd(RetinueError):
    """A chain of pointers goes in a circle, or on for too long."""

    def __init__(self, start: Digest, chain: Sequence[Digest]) -> None:
        super().__init__(
            f"{start} leads through {len(chain)} pointers (the last is {chain[-1]}) to no end; "
            f"at most {MAX_POINTERS} are followed"
        )
        self.start = start
        self.chain = tuple(chain)


def choose(
    objects: Iterable[GenericObject],
    understood: Sequence[tuple[str, str]],
    wanted: Mapping[str, str],
) -> GenericObject | None:
    """The first object that fits, by the client's order of (type, version), the best known first.

    Versions have no order: only an exact one counts. A filter key that `wanted` does not know makes
    an object unfit; a key that the object lacks fits everything. Ties go to document order.
    """
    items = list(objects)
    for kind in understood:
        for item in items:
            if (item.type, item.version) == kind and fits(item, wanted):
                return item
    return None


def fits(item: GenericObject, wanted: Mapping[str, str]) -> bool:
    return all(wanted.get(key) in values for key, values in item.filters.items())


def filters_of(platform: Platform) -> Mapping[str, str]:
    """The filter values of a platform, to give to `choose`."""
    found = {names.FILTER_OS: platform.os, names.FILTER_ARCHITECTURE: platform.architecture}
    if platform.variant is not None:
        found[names.FILTER_VARIANT] = platform.variant
    return found


def dereference(manifest: Manifest) -> Generator[Digest, Manifest, Manifest]:
    """Follow pointers: yields the digest to fetch, takes its manifest, returns the end.

    Raises NoPointerEnd.
    """
    seen = [manifest.digest]
    current = manifest
    while (target := _pointed_at(current)) is not None:
        if target in seen or len(seen) > MAX_POINTERS:
            raise NoPointerEnd(manifest.digest, seen)
        seen.append(target)
        current = yield target
    return current


def _pointed_at(manifest: Manifest) -> Digest | None:
    """A manifest that is one pointer stands for what it points at."""
    objects = read_generic(manifest)
    if len(objects) != 1 or objects[0].type != names.OBJECT_POINTER:
        return None
    return manifest.children[0].digest
