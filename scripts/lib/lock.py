"""What a file of pins says, and what else the packages that it pins need."""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

FOLDER = Path("requirements")
_ENTRY = re.compile(r"^(?P<pin>[^\s#][^\\]*?)\s*\\\n(?P<hashes>(?:    --hash=\S+(?: \\)?\n)+)", re.M)


@dataclass(frozen=True, slots=True)
class Pin:
    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> NormalizedName:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> Version:
        (pinned,) = self.requirement.specifier
        return Version(pinned.version)
