"""Installs each lock as its place in the tree does, from an index that has a newer release of
every package, and asks whether exactly the pinned versions would have been installed.

The index is a folder of empty wheels that say they need what the real ones need. Nothing is
fetched and nothing is installed. The pip that comes with this Python and the pinned one are tried.
"""

import ensurepip
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TypeAlias

import pins
from packaging.markers import default_environment
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

PLACES = ("scripts/lib/venv.sh", "Containerfile", "README.md")
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
Versions: TypeAlias = dict[NormalizedName, Version]
_INSTALL = re.compile(
    r'pip"? install (?P<options>[^\n]*?) -r "?\S*?requirements/(?P<lock>[$\w]+)\.txt'
)


def installations(place: str) -> Iterator[tuple[Path, list[str]]]:
    """Which locks a file of the tree installs, and with which options."""
    for found in _INSTALL.finditer(Path(place).read_text()):
        lock = found["lock"].replace("$LOCK", "dev")
        yield pins.FOLDER / f"{lock}.txt", shlex.split(found["options"])


def pip_of_python(folder: Path) -> Path:
    """Unpack the wheel that `python -m venv` takes its pip from."""
    own = Path(ensurepip.__file__).parent / "_bundled"
    (wheel,) = Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or own).glob("pip-*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder)
    return folder


def newer(version: str) -> str:
    """The next release: who needs `~=` or an upper bound would take that too."""
    *first, last = Version(version).release
    return ".".join(map(str, [*first, last + 1]))


def wheel(folder: Path, pin: pins.Pin, version: str) -> str:
    """Make an empty one; returns its hash."""
    name = f"{pin.name.replace('-', '_')}-{version}"
    metadata = ["Metadata-Version: 2.1", f"Name: {pin.name}", f"Version: {version}"]
    for field in ("Requires-Dist", "Provides-Extra"):
        metadata += [f"{field}: {value}" for value in pins.said(pin, field)]
    path = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr(f"{name}.dist-info/METADATA", "\n".join(metadata) + "\n")
        content.writestr(f"{name}.dist-info/WHEEL", WHEEL)
        content.writestr(f"{name}.dist-info/RECORD", "")
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def index(folder: Path, pinned: Sequence[pins.Pin]) -> Path:
    """Fill the folder; returns the lock, with the hashes of what is in there."""
    lines = []
    for pin in pinned:
        lines.append(f"{pin.requirement} --hash={wheel(folder, pin, pin.version)}\n")
        wheel(folder, pin, newer(pin.version))
    lock = folder / "lock.txt"
    lock.write_text("".join(lines))
    return lock


def install(pip: Path | None, options: Sequence[str], lock: Path) -> Versions | str:
    """What would be installed, or why nothing would; without a folder, by this Python's own pip."""
    command = [sys.executable, "-m", "pip", "--isolated", "install", *options, "--quiet"]
    command += ["-r", str(lock), "--no-index", "--find-links", str(lock.parent)]
    command += ["--dry-run", "--ignore-installed", "--report", "-"]
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PYTHONPATH": str(pip or "")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        return done.stderr
    found = [entry["metadata"] for entry in json.loads(done.stdout)["install"]]
    return {canonicalize_name(entry["name"]): Version(entry["version"]) for entry in found}


def tempted(lock: Path, expected: Versions) -> bool:
    """Whether a pip that is told names alone takes the newer release of each."""
    names = lock.with_name("names.txt")
    names.write_text("".join(f"{name}\n" for name in expected))
    found = install(None, ["--no-deps"], names)
    return not isinstance(found, str) and all(found[name] > expected[name] for name in expected)


def complaints(lock: Path, installed: Iterable[Sequence[str]], old: Path) -> Iterator[str]:
    pinned = pins.read(lock.read_text())
    environment = default_environment()
    expected = {pin.name: Version(pin.version) for pin in pinned if pin.applies(environment)}
    with tempfile.TemporaryDirectory(prefix="retinue-index-") as folder:
        rewritten = index(Path(folder), pinned)
        if not tempted(rewritten, expected):
            yield f"{lock}: pip takes nothing newer, so this proves nothing"
        for options, pip in product(installed, (old, None)):
            found = install(pip, options, rewritten)
            if found != expected:
                how = f"pip {'of this Python' if pip else 'as pinned'} {shlex.join(options)}"
                yield f"{lock} does not install as it is, {how}: {found}"


def main() -> int:
    found = pins.complaints()
    listed = sorted(entry for place in PLACES for entry in installations(place))
    with tempfile.TemporaryDirectory(prefix="retinue-pip-") as folder:
        old = pip_of_python(Path(folder))
        for lock in pins.LOCKS:
            installed = {tuple(options) for used, options in listed if used == lock}
            if not installed:
                found.append(f"{lock}: no file of {', '.join(PLACES)} installs it")
            found += complaints(lock, installed, old)
    print("\n".join(found) or "locks: complete, and installed as they are")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
