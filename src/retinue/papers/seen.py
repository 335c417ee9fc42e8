"""What a client has seen of revocation lists, kept in a folder: one small file for each list.

The file's name says the version, so that whoever writes a lower one at the same time changes nothing.
"""

import re
from pathlib import Path

from retinue import strictjson
from retinue.files import Root, make_folders
from retinue.oci import digest as digests
from retinue.papers.predicates import dump
from retinue.papers.revocationlist import ListProblem, Seen

FOLDER = "revocation-lists"
MAX_FILE = 4096
_FILE = re.compile(r"([0-9a-f]{64})-([1-9][0-9]{0,15})\.json")


class SeenFolder:
    """The highest version of each list, in `revocation-lists` below a folder of the client's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def seen(self, name: str) -> Seen | None:
        """Raises ListProblem for a file that is damaged, OSError."""
        if not (self._path / FOLDER).is_dir():
            return None
        with Root(self._path) as root:
            versions = _versions(root, name)
            if not versions:
                return None
            version = max(versions)
            raw = root.read(versions[version], MAX_FILE)
        return Seen(version, self._fingerprint(name, version, raw))

    def remember(self, name: str, seen: Seen) -> None:
        """Raises OSError. A lower version than the one that is known changes nothing."""
        make_folders(self._path / FOLDER)
        with Root(self._path) as root:
            versions = _versions(root, name)
            if seen.version <= max(versions, default=0):
                return
            document = dump({"name": name, "fingerprint": seen.fingerprint})
            root.write_atomically(f"{FOLDER}/{_hash(name)}-{seen.version}.json", document)
            for file in versions.values():
                root.unlink(file)

    def _fingerprint(self, name: str, version: int, raw: bytes) -> str:
        try:
            document = strictjson.loads(raw)
            if document["name"] == name and isinstance(document["fingerprint"], str):
                return str(document["fingerprint"])
        except (strictjson.InvalidJson, KeyError, TypeError) as problem:
            reason = f"what {self._path} says of version {version} is damaged ({problem})"
            raise ListProblem(name, reason) from problem
        raise ListProblem(name, f"what {self._path} says of version {version} is of another list")


def _versions(root: Root, name: str) -> dict[int, str]:
    matches = (_FILE.fullmatch(file) for file, _ in root.entries(FOLDER))
    return {int(m[2]): f"{FOLDER}/{m[0]}" for m in matches if m is not None and m[1] == _hash(name)}


def _hash(name: str) -> str:
    return digests.encoded(digests.of(name.encode()))
