"""Whether containerd really asks its image verifiers: by default, and by accident, it does not."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

PLUGIN = "io.containerd.image-verifier.v1.bindir"
IMAGES = "io.containerd.cri.v1.images"
OLD_CRI = "io.containerd.grpc.v1.cri"
BIN_DIR = "/opt/containerd/image-verifier/bin"
MAX_VERIFIERS = 10
_FALLBACKS: Mapping[str, object] = {
    "max_concurrent_downloads": 3,
    "image_pull_with_sync_fs": False,
    "discard_unpacked_layers": False,
    "disable_snapshot_annotations": True,
}
"""Options of the CRI plugin and their defaults: with another value it pulls locally, whatever
`use_local_image_pull` says."""


class Entry(Struct, frozen=True):
    """A file of the folder of verifiers."""

    name: str
    executable: bool
    writable: bool
    """By others than root."""


class Finding(Struct, frozen=True):
    """`bypass`: images get through unasked. Else it is worth knowing."""

    bypass: bool
    text: str


def examine(config: bytes, listing: Callable[[str], Sequence[Entry] | None]) -> Sequence[Finding]:
    """What is wrong with a containerd configuration (config.toml).

    `listing`: the files of a folder, None where there is no such folder.
    """
    try:
        document = tomllib.loads(config.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        return [Finding(bypass=True, text=f"the configuration cannot be read: {problem}")]
    return [*_plugin(document), *_folder(document, listing), *_cri(document)]


def _table(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The table at a path; one that is not there is empty."""
    found: Any = document
    for name in path:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _plugin(document: Mapping[str, Any]) -> Iterator[Finding]:
    if document.get("imports"):
        text = f"imports {document['imports']}: examine those files, too; they can undo this one"
        yield Finding(bypass=False, text=text)
    if PLUGIN in document.get("disabled_plugins", ()):
        yield Finding(bypass=True, text=f"disabled_plugins has {PLUGIN}: no verifier is asked")


def _folder(
    document: Mapping[str, Any], listing: Callable[[str], Sequence[Entry] | None]
) -> Iterator[Finding]:
    table = _table(document, "plugins", PLUGIN)
    folder, most = table.get("bin_dir", BIN_DIR), table.get("max_verifiers", MAX_VERIFIERS)
    entries = listing(folder) if isinstance(folder, str) else None
    if not entries:
        state = "there is no folder" if entries is None else "there is nothing in"
        yield Finding(bypass=True, text=f"{state} {folder}: every image is allowed")
        return
    if isinstance(most, int) and 0 <= most < len(entries):
        skipped = ", ".join(sorted(entry.name for entry in entries)[most:])
        yield Finding(bypass=True, text=f"max_verifiers is {most}: {skipped} is never asked")
    for entry in entries:
        if not entry.executable:
            yield Finding(bypass=False, text=f"{entry.name} is not executable: every pull fails")
        if entry.writable:
            yield Finding(bypass=True, text=f"{folder}/{entry.name} can be replaced by others")


def _cri(document: Mapping[str, Any]) -> Iterator[Finding]:
    """The CRI plugin asks verifiers only when it pulls by the transfer service (containerd 2.1)."""
    version = document.get("version", 1)
    if not isinstance(version, int) or version < 3 or _table(document, "plugins", OLD_CRI):
        text = f"version is {version}: containerd 1's CRI plugin never asks verifiers"
        yield Finding(bypass=True, text=text)
    elif version == 3:
        text = (
            "containerd 2.0 reads this version, too, and its CRI plugin asks no verifier: use 2.1"
        )
        yield Finding(bypass=False, text=text)
    images = _table(document, "plugins", IMAGES)
    if images.get("use_local_image_pull"):
        yield Finding(bypass=True, text="use_local_image_pull: Kubernetes' pulls ask no verifier")
        return
    local = [name for name, usual in _FALLBACKS.items() if images.get(name, usual) != usual]
    registry = _table(images, "registry")
    local += [
        f"registry.{n}" for n in ("mirrors", "configs", "auths", "headers") if registry.get(n)
    ]
    if local:
        text = f"{', '.join(local)}: the CRI plugin pulls locally with these, and asks no verifier"
        yield Finding(bypass=True, text=text)
