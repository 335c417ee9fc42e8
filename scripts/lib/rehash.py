"""Hashes every blob of OCI layouts again, with hashlib alone, and compares what two of them hold.

Usage: rehash.py LAYOUT...   The first one is the measure: the others must hold all that it holds.
"""

import hashlib
import json
import sys
from pathlib import Path


def check(layout: Path) -> set[str]:
    """The digests that a layout holds; exits when a file is not what its name says."""
    held = set()
    for file in sorted((layout / "blobs").glob("*/*")):
        with file.open("rb") as content:
            actual = hashlib.file_digest(content, file.parent.name).hexdigest()
        if actual != file.name:
            sys.exit(f"{file} hashes to {actual}")
        held.add(f"{file.parent.name}:{file.name}")
    listed = json.loads((layout / "index.json").read_text())["manifests"]
    lost = {entry["digest"] for entry in listed} - held
    if lost:
        sys.exit(f"{layout}/index.json lists what is not there: {', '.join(sorted(lost))}")
    return held


def main(layouts: list[Path]) -> None:
    measure, *others = [check(layout) for layout in layouts]
    for layout, held in zip(layouts[1:], others, strict=True):
        if measure - held:
            sys.exit(f"{layout} lacks {', '.join(sorted(measure - held))}")
    for layout, held in zip(layouts, [measure, *others], strict=True):
        print(f"{layout.name}: {len(held)} of {len(held)} digests are right")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
