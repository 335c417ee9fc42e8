"""Installs each lock as its place in the tree does, from an index that has a newer release of
every package, and asks whether exactly the pinned versions would have been installed.

The index is a folder of empty wheels that say they need what the real ones need. Nothing is
fetched and nothing is installed. The pip of this Python and the one that the lock pins are tried.
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
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.markers import default_environment
from packaging.utils import canonicalize_name
from packaging.version import Version

import pins

NEWER = "9999"
PLACES = ("scripts/lib/venv.sh", "Containerfile", "README.md")
_INSTALL = re.compile(r'/pip"? install (?P<options>.*?) -r (?:\S*/)?(?P<lock>requirements/\S+\.txt)')


def installs(place: Path) -> Iterator[tuple[Path, list[str]]]:
    """Which lock a file of the tree installs, and with which options."""
    for found in _INSTALL.finditer(place.read_text()):
        yield Path(found["lock"]), shlex.split(found["options"])


def pip_of_python() -> list[str]:
    """The wheel that `python -m venv` takes its pip from."""
    folder = sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(ensurepip.__file__).parent / "_bundled"
    (wheel,) = Path(folder).glob("pip-*.whl")
    return [sys.executable, f"{wheel}/pip"]


def wheel(folder: Path, pin: pins.Pin, version: str) -> str:
    """Make an empty one; returns its hash."""
    name = pin.name.replace("-", "_")
    said = [f"Requires-Dist: {requirement}" for requirement in pins.needs(pin)]
    said += [f"Provides-Extra: {extra}" for extra in pins.extras(pin)]
    metadata = "\n".join(["Metadata-Version: 2.1", f"Name: {pin.name}", f"Version: {version}", *said])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as content:
        info = f"{name}-{version}.dist-info"
        content.writestr(f"{info}/METADATA", metadata + "\n")
        content.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        content.writestr(f"{info}/RECORD", "")
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def index(folder: Path, locked: Sequence[pins.Pin]) -> Path:
    """Fill the folder; returns the lock, with the hashes of what is in there."""
    lines = []
    for pin in locked:
        lines.append(f"{pin.requirement} --hash={wheel(folder, pin, pin.version)}")
        wheel(folder, pin, NEWER)
    lock = folder / "lock.txt"
    lock.write_text("\n".join(lines) + "\n")
    return lock


def install(pip: Sequence[str], options: Sequence[str], lock: Path) -> dict[str, Version] | str:
    """What would be installed, or why nothing would."""
    command = [*pip, "--isolated", "install", "--quiet", *options, "-r", str(lock)]
    command += ["--no-index", "--find-links", str(lock.parent)]
    command += ["--dry-run", "--ignore-installed", "--report", "-"]
    done = subprocess.run(
        command, env={**os.environ, "PIP_CONFIG_FILE": os.devnull}, check=False, capture_output=True, text=True
    )  # fmt: skip
    if done.returncode:
        return done.stderr
    report = json.loads(done.stdout)["install"]
    found = [entry["metadata"] for entry in report]
    return {canonicalize_name(entry["name"]): Version(entry["version"]) for entry in found}
