"""Damages done by hand to a registry's rows and files, and what fsck must say of each.

Statements are run past the program: without its foreign keys and triggers. In them {a} and its like
are digests of `Stage`, as literals of the database.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retinue.registry.upkeep.findings import Kind


@dataclass(frozen=True, slots=True)
class Files:
    """Of two large blobs of one size, and of an upload that has begun."""

    large: Path
    other: Path
    upload: Path


def truncate(files: Files) -> None:
    os.truncate(files.large, 10)


def flip(files: Files) -> None:
    files.large.write_bytes(b"?" + files.large.read_bytes()[1:])


def lose(files: Files) -> None:
    files.large.unlink()


def pipe(files: Files) -> None:
    files.large.unlink()
    os.mkfifo(files.large)


def folder(files: Files) -> None:
    files.large.unlink()
    files.large.mkdir()


def symlink(files: Files) -> None:
    files.large.unlink()
    files.large.symlink_to(files.other)


def swap(files: Files) -> None:
    large, other = files.large.read_bytes(), files.other.read_bytes()
    files.large.write_bytes(other)
    files.other.write_bytes(large)


def lose_upload(files: Files) -> None:
    files.upload.unlink()


def shorten_upload(files: Files) -> None:
    os.truncate(files.upload, 1)


YES = "fsck --repair mends it"
PUSH = "fsck --repair stops serving it, and a push mends it"
LEFT = "the same; bytes that nobody can ask for stay quarantined"
NO = "it cannot be mended"


@dataclass(frozen=True, slots=True)
class Damage:
    """`says`: kinds that fsck must tell. `mends`: what brings all answers back."""

    what: str
    harm: str | Callable[[Files], None]
    says: frozenset[Kind]
    mends: str


def damage(what: str, harm: str | Callable[[Files], None], mends: str, *says: Kind) -> Damage:
    return Damage(what, harm, frozenset(says), mends)
