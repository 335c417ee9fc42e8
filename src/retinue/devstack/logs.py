"""Transparency logs as Rekor's two versions have them.

https://github.com/sigstore/rekor/blob/main/openapi.yaml, and for the second
https://github.com/sigstore/rekor-tiles: the writing half; there are no tiles to read.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from retinue.attest.logentry import body_kind
from retinue.attest.merkle import leaf_hash
from retinue.attest.tlog import promise_payload
from retinue.devstack.errors import NotGiven
from retinue.devstack.ledger import Entry, Ledger
from retinue.devstack.proposed import entry_1, entry_2
from retinue.devstack.state import State

Json = Mapping[str, Any]

TREE_ID = 1

_SPKI = PublicFormat.SubjectPublicKeyInfo
_ID = 64  # hexadecimal digits of a leaf's hash; before it may stand a tree's number


class Log1:
    """A log of the first version: promises at once, and says when."""

    def __init__(self, state: State, host: str) -> None:
        self._key = state.log_1
        self._host = host
        self.ledger = Ledger(state.folder, "log-1")
        spki = self._key.public_key().public_bytes(Encoding.DER, _SPKI)
        self.log_id = hashlib.sha256(spki).digest()

    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.PEM, _SPKI)

    def add(self, proposed: Json, now: datetime) -> tuple[str, Json]:
        """The new entry's name, and the entry. Raises NotGiven; 409 for one that is there."""
        body = entry_1(proposed)
        known = self.ledger.find(leaf_hash(body))
        if known is not None:
            name = f"/api/v1/log/entries/{entry_name(known)}"
            raise NotGiven(409, "an equivalent entry is there already", location=name)
        entry = self.ledger.add(body, int(now.timestamp()))
        return entry_name(entry), self.shown(entry)

    def get(self, name: str) -> Json:
        """By its name, with or without the tree's number. Raises NotGiven."""
        try:
            entry = self.ledger.find(bytes.fromhex(name[-_ID:]))
        except ValueError:
            raise NotGiven(400, f"{name[:100]!r} is not the name of an entry") from None
        return self._found(entry, name)

    def known(self, proposed: Json) -> Json:
        """The entry that this would be, if it is there. Raises NotGiven."""
        return self._found(self.ledger.find(leaf_hash(entry_1(proposed))), "like this")

    def at(self, index: str) -> Json:
        entry = self.ledger.at(int(index)) if index.isdecimal() and len(index) < 19 else None
        return self._found(entry, index)

    def _found(self, entry: Entry | None, name: str) -> Json:
        if entry is None:
            raise NotGiven(404, f"there is no entry {name[:100]}")
        return self.shown(entry)

    def shown(self, entry: Entry) -> Json:
        tree = self.ledger.tree
        promise = promise_payload(entry.body, entry.at, entry.index, self.log_id)
        proof = {
            "checkpoint": self.checkpoint(),
            "hashes": [h.hex() for h in tree.path(entry.index)],
            "logIndex": entry.index,
            "rootHash": tree.root().hex(),
            "treeSize": len(tree),
        }
        value = {
            "body": b64encode(entry.body).decode(),
            "integratedTime": entry.at,
            "logID": self.log_id.hex(),
            "logIndex": entry.index,
            "verification": {
                "inclusionProof": proof,
                "signedEntryTimestamp": b64encode(self._sign(promise)).decode(),
            },
        }
        return {entry_name(entry): value}

    def head(self) -> Json:
        return {
            "inactiveShards": [],
            "rootHash": self.ledger.tree.root().hex(),
            "signedTreeHead": self.checkpoint(),
            "treeID": str(TREE_ID),
            "treeSize": len(self.ledger.tree),
        }

    def checkpoint(self) -> str:
        text = note(f"{self._host} - {TREE_ID}", self.ledger)
        return signed(text, self._host, self.log_id, self._sign(text.encode()))

    def _sign(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))


class Log2:
    """A log of the second version: signed by Ed25519, without promises or times."""

    def __init__(self, state: State, host: str) -> None:
        self._key = state.log_2
        self._host = host
        self.ledger = Ledger(state.folder, "log-2")
        point = self._key.public_key().public_bytes_raw()
        self.log_id = hashlib.sha256(f"{host}\n".encode() + b"\x01" + point).digest()

    def add(self, proposed: Json, now: datetime) -> Json:
        """A TransparencyLogEntry. Raises NotGiven."""
        body = entry_2(proposed)
        entry = self.ledger.find(leaf_hash(body)) or self.ledger.add(body, int(now.timestamp()))
        tree = self.ledger.tree
        text = note(self._host, self.ledger)
        checkpoint = signed(text, self._host, self.log_id, self._key.sign(text.encode()))
        return {
            "logIndex": str(entry.index),
            "logId": {"keyId": b64encode(self.log_id).decode()},
            "kindVersion": {"kind": body_kind(entry.body)[0], "version": "0.0.2"},
            "inclusionProof": {
                "logIndex": str(entry.index),
                "rootHash": b64encode(tree.root()).decode(),
                "treeSize": str(len(tree)),
                "hashes": [b64encode(h).decode() for h in tree.path(entry.index)],
                "checkpoint": {"envelope": checkpoint},
            },
            "canonicalizedBody": b64encode(entry.body).decode(),
        }


def entry_name(entry: Entry) -> str:
    return f"{TREE_ID:016x}{leaf_hash(entry.body).hex()}"


def note(origin: str, ledger: Ledger) -> str:
    """A checkpoint's text (C2SP tlog-checkpoint)."""
    root = b64encode(ledger.tree.root()).decode()
    return f"{origin}\n{len(ledger.tree)}\n{root}\n"


def signed(text: str, name: str, log_id: bytes, signature: bytes) -> str:
    return f"{text}\n\u2014 {name} {b64encode(log_id[:4] + signature).decode()}\n"
