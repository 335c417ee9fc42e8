"""Artifacts and papers out of files, and what images made here say of themselves."""

import os
import platform as machine
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from retinue.cli.local import LocalSource
from retinue.cli.problems import BadUsage
from retinue.layers.image import EMPTY, manifest_of
from retinue.oci import names
from retinue.oci.descriptor import Descriptor
from retinue.oci.manifest import Manifest
from retinue.oci.platform import Platform

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]{0,126}/[A-Za-z0-9][\w!#$&^.+-]{0,126}")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def this_platform() -> Platform:
    """Linux on this machine's processor."""
    return Platform("linux", _ARCHITECTURES.get(machine.machine(), machine.machine()))


def epoch() -> int:
    """The time that files in images get: SOURCE_DATE_EPOCH, else 1970; raises BadUsage."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not text.isascii() or not text.isdigit():
        raise BadUsage(f"SOURCE_DATE_EPOCH is {text[:40]!r}", "it must be seconds since 1970")
    return int(text)


def media_type_of(text: str, option: str) -> str:
    """A media type; raises BadUsage."""
    if not _MEDIA_TYPE.fullmatch(text):
        raise BadUsage(f"{option}: {text[:80]!r} is no media type", "write it as TYPE/SUBTYPE")
    return text


def add_artifact(
    source: LocalSource,
    files: Sequence[str],
    *,
    artifact_type: str | None,
    annotations: Mapping[str, str],
    media_type: str = names.OCTET_STREAM,
    subject: Descriptor | None = None,
) -> Manifest:
    """Put an artifact of `FILE[:TYPE]`s into the source; with `subject`, a paper about that."""
    kind = media_type_of(artifact_type or names.UNKNOWN_ARTIFACT, "the artifact's type")
    layers = [_file(source, text, media_type) for text in files]
    titles = [layer.annotations[names.ANNOTATION_TITLE] for layer in layers]
    for title in titles:
        if titles.count(title) > 1:
            raise BadUsage(f"two files are called {title!r}", "rename one of them")
    manifest = manifest_of(
        EMPTY, layers or [EMPTY], artifact_type=kind, subject=subject, annotations=annotations
    )
    source.add_blob(EMPTY.digest, names.EMPTY_JSON)
    source.add_manifest(manifest)
    return manifest


def _file(source: LocalSource, text: str, media_type: str) -> Descriptor:
    path, kind = _split(text)
    if path.is_dir():
        raise BadUsage(f"{path} is a folder", "name its files, or push it with --image")
    title = path.name if path.is_absolute() or ".." in path.parts else path.as_posix()
    annotations = {names.ANNOTATION_TITLE: title}
    return source.add_file(path, media_type_of(kind or media_type, text), annotations)


def _split(text: str) -> tuple[Path, str | None]:
    """`FILE:TYPE`; a file whose name has a colon counts as a file."""
    name, colon, kind = text.rpartition(":")
    if not colon or not name or "/" not in kind or Path(text).exists():
        return Path(text), None
    return Path(name), kind
