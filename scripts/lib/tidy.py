"""Small checks that no linter makes: file sizes, empty packages, no places in the lock, nothing
forgotten in the source distribution.
"""

import re
import subprocess
import sys
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder

MAX_LINES = 400
PLACES = re.compile(r"(file|https?)://|--(extra-)?index-url|--find-links|--trusted-host")
HOME = re.compile(r"/(home|root|Users|work)/[a-z]")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for path in map(Path, listed.stdout.splitlines()) if path.is_file()]


def forgotten() -> list[str]:
    """The source distribution is the tree: its scripts run there as they do here."""
    packed = {file.distribution_path for file in SdistBuilder(".").recurse_included_files()}
    kept = {str(path) for path in tracked()}
    found = [f"{path}: not in the source distribution" for path in sorted(kept - packed)]
    return found + [f"{path}: only in the source distribution" for path in sorted(packed - kept)]


def complaints() -> list[str]:
    found = forgotten()
    for path in tracked("src/*.py"):
        lines = path.read_text().count("\n")
        if lines > MAX_LINES:
            found.append(f"{path}: {lines} lines; more than {MAX_LINES} is a smell")
        if path.name == "__init__.py" and lines > 1:
            found.append(f"{path}: packages' __init__ are empty; names come from their home module")
    for path in tracked("requirements/*.txt"):
        found += [
            f"{path}: names a place: {line}"
            for line in path.read_text().splitlines()
            if PLACES.search(line)
        ]
    for path in tracked("src/*", "scripts/*", "docs/*", "*.md", "*.toml", "bench/*"):
        found += [
            f"{path}: a path of one machine: {line.strip()}"
            for line in path.read_text(errors="replace").splitlines()
            if HOME.search(line)
        ]
    return found


if __name__ == "__main__":
    problems = complaints()
    print("\n".join(problems) or "tidy: nothing to complain about")
    sys.exit(bool(problems))
