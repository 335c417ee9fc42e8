"""Merkle trees of transparency logs: RFC 6962 2.1 (RFC 9162 2.1.3.2 for the check)."""

import hashlib
from collections.abc import Sequence


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaf: bytes, index: int, size: int, hashes: Sequence[bytes]) -> bytes | None:
    """The root of a tree of `size` leaves that `leaf` (a leaf hash) and the path add up to.

    None: the path cannot belong to such a tree (RFC 9162 2.1.3.2).
    """
    if not 0 <= index < size:
        return None
    at, last, root = index, size - 1, leaf
    for other in hashes:
        if last == 0:
            return None
        if at & 1 or at == last:
            root = node_hash(other, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, other)
        at, last = at >> 1, last >> 1
    return root if last == 0 else None
