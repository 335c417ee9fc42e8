"""Checkpoints: signed notes that commit to a log's size and root.

https://github.com/C2SP/C2SP/blob/main/tlog-checkpoint.md, signed-note.md; Rekor's first version signs
with ECDSA and abbreviates the hash of its key, whatever its name.
"""

import hashlib
import re
from base64 import b64decode
from binascii import Error
from typing import TYPE_CHECKING

from msgspec import Struct

from retinue.attest.errors import Malformed, Refused

if TYPE_CHECKING:
    from retinue.attest.root import Log

PART = "checkpoint"
MAX_BYTES = 64 * 1024

_DASH = "\u2014"
_SIGNATURE = re.compile(rf"{_DASH} ([^\s+]+) ([A-Za-z0-9+/]+={{0,2}})")
_TREE_ID = re.compile(r".* - [0-9]+", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MOST_SIGNATURES = 100
_ED25519 = b"\x01"


class Signature(Struct, frozen=True):
    """One line of a note: who signed, the first bytes of the key's hash, and the signature."""

    name: str
    hint: bytes
    signature: bytes


class Checkpoint(Struct, frozen=True):
    """`text` is what the signatures sign."""

    origin: str
    size: int
    root: bytes
    text: bytes
    signatures: tuple[Signature, ...]


def read_checkpoint(envelope: str) -> Checkpoint:
    """Raises Malformed."""
    if len(envelope) > MAX_BYTES:
        raise Malformed(PART, f"is larger than {MAX_BYTES} bytes")
    text, blank, tail = envelope.rpartition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) < 3 or not lines[0]:
        raise Malformed(PART, "must have an origin, a size, a root, and signatures")
    if not _NUMBER.fullmatch(lines[1]):
        raise Malformed(PART, "its size is not a number")
    try:
        root = b64decode(lines[2], validate=True)
    except Error:
        raise Malformed(PART, "its root is not base64") from None
    if len(root) != hashlib.sha256().digest_size:
        raise Malformed(PART, "its root is not a SHA-256")
    signed = (text + "\n").encode()
    return Checkpoint(lines[0], int(lines[1]), root, signed, _signatures(tail))


def _signatures(tail: str) -> tuple[Signature, ...]:
    lines = tail.removesuffix("\n").split("\n")
    if not tail.endswith("\n") or len(lines) > _MOST_SIGNATURES:
        raise Malformed(PART, f"must end in at most {_MOST_SIGNATURES} lines of signatures")
    return tuple(map(_signature, lines))


def _signature(line: str) -> Signature:
    match = _SIGNATURE.fullmatch(line)
    try:
        raw = b64decode(match[2], validate=True) if match else b""
    except Error:
        raw = b""
    if match is None or len(raw) < 5:
        raise Malformed(PART, "has a line that is not a signature")
    return Signature(match[1], raw[:4], raw[4:])


def check_signed(checkpoint: Checkpoint, log: "Log") -> None:
    """That `log` signed it. Raises Refused.

    Others, witnesses, may sign too: they count for nothing here. An origin that ends in a tree's
    number is of the first version; else origin and name must be the log's own.
    """
    old = _TREE_ID.fullmatch(checkpoint.origin) is not None
    if not old and checkpoint.origin != log.host:
        raise Refused(PART, f"is of {checkpoint.origin[:80]!r}, not of the log {log.host!r}")
    for signature in checkpoint.signatures:
        if _means(signature, log, old=old) and log.key.verify(signature.signature, checkpoint.text):
            return
    raise Refused(PART, f"is not signed by the log {log.name}")


def _means(signature: Signature, log: "Log", *, old: bool) -> bool:
    if not old and signature.name != log.host:
        return False
    if signature.hint == log.key.key_id[:4] and (old or not log.key.raw):
        return True
    named = f"{signature.name}\n".encode() + _ED25519 + log.key.raw
    return bool(log.key.raw) and signature.hint == hashlib.sha256(named).digest()[:4]
