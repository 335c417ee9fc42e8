"""One image of a multi-platform one, for commands that show it."""

from retinue.cli.problems import Missing
from retinue.client.closure import find_roots
from retinue.oci import platform as platforms
from retinue.oci.manifest import Manifest
from retinue.oci.stores import Source


async def for_platform(store: Source, manifest: Manifest, wanted: str | None) -> Manifest:
    """The child for the platform; without `wanted`, or for what is no index, the manifest itself.

    Raises InvalidPlatform, PlatformUnknown, Missing.
    """
    if wanted is None:
        return manifest
    platform = platforms.parse(wanted)
    [digest] = await find_roots(store, [manifest.digest], platform, papers=False)
    found = (await store.manifests([digest]))[digest]
    if found is None:
        raise Missing(
            f"manifest {digest}",
            f"this store, although {manifest.digest} lists it",
            "choose another platform",
        )
    if not isinstance(found, Manifest):
        raise found
    return found
