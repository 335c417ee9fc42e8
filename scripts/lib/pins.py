"""What a file of pins in `requirements/` says, and what the packages that it pins need besides."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

FOLDER = Path("requirements")
BUILD = FOLDER / "build.txt"
LOCKS = (BUILD, FOLDER / "dev.txt", FOLDER / "runtime.txt")
PYTHON = "Programming Language :: Python :: "
_ENTRY = re.compile(
    r"^(?P<pin>\w[^\\\n]*?) *\\\n(?P<hashes>(?: +--hash=\S+(?: \\)?\n)+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Pin:
    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> NormalizedName:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        (only,) = self.requirement.specifier
        return only.version

    def applies(self, environment: Environment) -> bool:
        marker = self.requirement.marker
        return marker is None or marker.evaluate(environment)


def read(text: str) -> list[Pin]:
    return [
        Pin(Requirement(entry["pin"]), tuple(re.findall(r"--hash=(\S+)", entry["hashes"])))
        for entry in _ENTRY.finditer(text)
    ]


def said(pin: Pin, field: str) -> list[str]:
    """A field of the package's metadata in this environment, if it is there in that version."""
    try:
        found = importlib.metadata.metadata(pin.name)
    except importlib.metadata.PackageNotFoundError:
        return []
    return found.get_all(field, []) if Version(found["Version"]) == Version(pin.version) else []


def needs(pin: Pin) -> list[Requirement]:
    return [Requirement(text) for text in said(pin, "Requires-Dist")]


def environments(project: Mapping[str, object]) -> Iterator[tuple[str, Environment]]:
    """One per version of Python that the project names, each at its first release."""
    for classifier in project["classifiers"]:
        version = classifier.removeprefix(PYTHON)
        if classifier != version and re.fullmatch(r"3\.\d+", version):
            environment = default_environment()
            environment["python_version"] = version
            environment["python_full_version"] = f"{version}.0"
            yield version, environment


def roots(project: Mapping[str, object], pinned: Iterable[NormalizedName]) -> list[Requirement]:
    """What the project needs; of an extra all, as soon as one of its packages is pinned."""
    wanted = [Requirement(text) for text in project["dependencies"]]
    for texts in project["optional-dependencies"].values():
        extra = [Requirement(text) for text in texts]
        if any(canonicalize_name(requirement.name) in pinned for requirement in extra):
            wanted += extra
    return wanted


def lacking(
    wanted: Iterable[Requirement], pins: Mapping[NormalizedName, Pin], environment: Environment
) -> set[str]:
    """What an installation without resolving would miss there."""
    waiting = [("pyproject.toml", requirement, "") for requirement in wanted]
    waiting += [("the lock", pin.requirement, "") for pin in pins.values()]
    found, seen = set(), set()
    while waiting:
        parent, requirement, extra = waiting.pop()
        marker = requirement.marker
        if marker is not None and not marker.evaluate({**environment, "extra": extra}):
            continue
        pin = pins.get(canonicalize_name(requirement.name))
        if pin is None or not pin.applies(environment):
            found.add(f"{parent} needs {requirement}, which is not pinned")
        elif not requirement.specifier.contains(pin.version, prereleases=True):
            found.add(f"{parent} needs {requirement}, pinned is {pin.version}")
        elif str(requirement) not in seen:
            seen.add(str(requirement))
            extras = ("", *requirement.extras)
            waiting += [(pin.name, need, extra) for need in needs(pin) for extra in extras]
    return found


def complaints() -> list[str]:
    """What a lock that is installed without resolving lacks, on each Python of the project."""
    document = tomllib.loads(Path("pyproject.toml").read_text())
    project, found = document["project"], []
    for lock, (version, environment) in product(LOCKS, environments(project)):
        pins = {pin.name: pin for pin in read(lock.read_text())}
        wanted = roots(project, pins)
        if lock == BUILD:
            wanted = [Requirement(text) for text in document["build-system"]["requires"]]
        problems = sorted(lacking(wanted, pins, environment))
        found += [f"{lock}: on Python {version}, {problem}" for problem in problems]
    return found
