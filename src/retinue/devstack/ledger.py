"""An append-only log with a Merkle tree over it (RFC 6962 2.1), one file per entry."""

import json
from base64 import b64decode, b64encode

from msgspec import Struct

from retinue.attest.merkle import leaf_hash, node_hash
from retinue.files import Root
from retinue.strictjson import loads

MAX_ENTRY = 8 * 1024 * 1024

_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Tree:
    """Hashes of all complete subtrees: `_levels[k][i]` is over the leaves from i * 2**k on."""

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        self._levels[0].append(leaf)
        for level, nodes in enumerate(self._levels):
            if len(nodes) % 2:
                return
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level + 1].append(node_hash(nodes[-2], nodes[-1]))

    def root(self) -> bytes:
        return self._over(0, len(self)) if len(self) else bytes.fromhex(_EMPTY)

    def path(self, index: int) -> tuple[bytes, ...]:
        """From the leaf at `index` up to the root."""
        hashes: list[bytes] = []
        start, end = 0, len(self)
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                hashes.append(self._over(middle, end))
                end = middle
            else:
                hashes.append(self._over(start, middle))
                start = middle
        return tuple(reversed(hashes))

    def _over(self, start: int, end: int) -> bytes:
        size = end - start
        if size & (size - 1) == 0:
            level = size.bit_length() - 1
            return self._levels[level][start >> level]
        middle = start + _split(size)
        return node_hash(self._over(start, middle), self._over(middle, end))


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


class Entry(Struct, frozen=True):
    """`at`: seconds since the epoch."""

    index: int
    at: int
    body: bytes


class Ledger:
    """Entries in a folder, all of them also in memory. Not safe for several threads."""

    def __init__(self, folder: Root, name: str) -> None:
        self._folder = folder
        self._name = name
        self._entries: list[Entry] = []
        self._by_leaf: dict[bytes, Entry] = {}
        self.tree = Tree()
        folder.make_folder(name)
        while folder.status(self._file(len(self._entries))) is not None:
            self._take(self._read(len(self._entries)))

    def _file(self, index: int) -> str:
        return f"{self._name}/{index:08}.json"

    def _read(self, index: int) -> Entry:
        fields = loads(self._folder.read(self._file(index), 2 * MAX_ENTRY), max_bytes=2 * MAX_ENTRY)
        return Entry(index, fields["at"], b64decode(fields["body"]))

    def _take(self, entry: Entry) -> None:
        leaf = leaf_hash(entry.body)
        self._entries.append(entry)
        self._by_leaf[leaf] = entry
        self.tree.append(leaf)

    def add(self, body: bytes, at: int) -> Entry:
        entry = Entry(len(self._entries), at, body)
        text = json.dumps({"at": at, "body": b64encode(body).decode()})
        self._folder.write_atomically(self._file(entry.index), text.encode(), 0o644)
        self._take(entry)
        return entry

    def find(self, leaf: bytes) -> Entry | None:
        return self._by_leaf.get(leaf)

    def at(self, index: int) -> Entry | None:
        return self._entries[index] if 0 <= index < len(self._entries) else None
