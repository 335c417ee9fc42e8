"""Transparency log entries: that a log we trust holds one, when it was told, and what of.

Two things can prove it: a signed entry timestamp (the log's promise, which alone carries the time),
and an inclusion proof up to a signed checkpoint. What is there must verify; one must be there.
https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_rekor.proto
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from retinue.attest.base64 import InvalidBase64, decode
from retinue.attest.checkpoint import check_signed, read_checkpoint
from retinue.attest.errors import Malformed, NoAnchor, Refused
from retinue.attest.logentry import PART, Hashes, body_kind, check_body, read_body
from retinue.attest.merkle import leaf_hash, root_of
from retinue.attest.proof import Clock, TrustedTime
from retinue.strictjson import InvalidJson, loads

if TYPE_CHECKING:
    from retinue.attest.root import Log, TrustedRoot

MAX_LEGACY = 8 * 1024 * 1024

_MAX_NUMBER = (1 << 63) - 1
_MAX_TIME = 253402300799  # the last second of the year 9999
_MAX_HASHES = 64


class Inclusion(Struct, frozen=True):
    """A path from an entry to a checkpoint (a signed note). `root` is what the proof claims."""

    index: int
    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str


class LogEntry(Struct, frozen=True):
    """An entry as it was handed over. `integrated`: seconds since the epoch, which only `promise`
    (the signed entry timestamp) makes more than a claim."""

    log_id: bytes
    index: int
    integrated: int | None
    body: bytes
    kind: str
    version: str
    promise: bytes | None
    inclusion: Inclusion | None


class LogProof(Struct, frozen=True):
    """What an entry established. `included`: a path to a checkpoint verified, not only a promise.
    `log` is the log's name."""

    log: str
    integrated: TrustedTime | None
    included: bool


def verify_entry(
    entry: LogEntry,
    roots: Sequence["TrustedRoot"],
    *,
    key_or_cert: bytes,
    signature: bytes,
    artifact_hashes: Hashes,
    times: Sequence[TrustedTime] = (),
) -> LogProof:
    """That a log of `roots` holds `entry`, and that it is of this signature.

    `key_or_cert` is DER, of the leaf certificate or else of the key. `times` are those that other
    clocks told: an entry that has none of its own (Rekor v2) must be of a log trusted at one of
    them. Raises Malformed, Refused; NoAnchor where no log of `roots` has its id.
    """
    logs = [log for root in roots for log in root.logs if log.log_id == entry.log_id]
    if not logs:
        raise NoAnchor(PART, "is of no log that is trusted")
    said = read_body(entry.body, entry.kind, entry.version)
    check_body(said, signature, key_or_cert, artifact_hashes)
    if entry.promise is None and entry.inclusion is None:
        raise Refused(PART, "has neither a signed timestamp nor an inclusion proof")
    problems = []
    for log in dict.fromkeys(logs):
        try:
            return _verify(entry, log, times)
        except Refused as error:
            problems.append(error)
    raise problems[0]


def _verify(entry: LogEntry, log: "Log", times: Sequence[TrustedTime]) -> LogProof:
    integrated = _check_promise(entry, log) if entry.promise is not None else None
    instants = [integrated] if integrated else [time.at for time in times]
    if instants and not any(map(log.period.covers, instants)):
        raise Refused(PART, f"the log {log.name} was not trusted at {instants[0]}")
    if entry.inclusion is not None:
        _check_inclusion(entry, entry.inclusion, log)
    time = TrustedTime(integrated, Clock.TLOG, log.name) if integrated else None
    return LogProof(log.name, time, entry.inclusion is not None)


def _check_promise(entry: LogEntry, log: "Log") -> datetime:
    """The integrated time, which the log has signed."""
    if not entry.integrated:
        raise Refused(PART, "has a signed timestamp without a time")
    signed = promise_payload(entry.body, entry.integrated, entry.index, entry.log_id)
    if entry.promise is None or not log.key.verify(entry.promise, signed):
        raise Refused(PART, f"its signed timestamp is not by the log {log.name}")
    return datetime.fromtimestamp(entry.integrated, UTC)


def promise_payload(body: bytes, integrated: int, index: int, log_id: bytes) -> bytes:
    """What a signed entry timestamp signs: canonical JSON (RFC 8785; ASCII and integers only)."""
    fields = {
        "body": b64encode(body).decode(),
        "integratedTime": integrated,
        "logID": log_id.hex(),
        "logIndex": index,
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def _check_inclusion(entry: LogEntry, inclusion: Inclusion, log: "Log") -> None:
    checkpoint = read_checkpoint(inclusion.checkpoint)
    check_signed(checkpoint, log)
    if inclusion.size != checkpoint.size or inclusion.root != checkpoint.root:
        raise Refused("inclusion proof", "leads to another tree than its checkpoint")
    leaf = leaf_hash(entry.body)
    if root_of(leaf, inclusion.index, inclusion.size, inclusion.hashes) != checkpoint.root:
        raise Refused("inclusion proof", f"does not lead to the root of the log {log.name}")


def read_entry(value: Any) -> LogEntry:
    """A TransparencyLogEntry of a bundle (protobuf's JSON, parsed). Raises Malformed."""
    fields = _Json(value)
    kind = fields.object("kindVersion")
    inclusion = fields.optional("inclusionProof")
    promise = fields.optional("inclusionPromise")
    integrated = fields.number("integratedTime", _MAX_TIME)
    return LogEntry(
        fields.object("logId").octets("keyId"),
        fields.number("logIndex"),
        integrated or None,
        fields.octets("canonicalizedBody"),
        kind.text("kind"),
        kind.text("version"),
        promise.octets("signedEntryTimestamp") if promise else None,
        _inclusion(inclusion) if inclusion else None,
    )


def _inclusion(fields: "_Json") -> Inclusion:
    hashes = fields.value.get("hashes", [])
    if not isinstance(hashes, list) or len(hashes) > _MAX_HASHES:
        raise Malformed("inclusion proof", f"hashes must be a list of at most {_MAX_HASHES}")
    path = tuple(_octets(h, "hashes") for h in hashes)
    if any(len(h) != 32 for h in path):
        raise Malformed("inclusion proof", "has a hash that is not SHA-256")
    return Inclusion(
        fields.number("logIndex"),
        fields.number("treeSize"),
        fields.octets("rootHash"),
        path,
        fields.object("checkpoint").text("envelope"),
    )


def read_legacy_bundle(text: str | bytes) -> LogEntry:
    """The annotation `dev.sigstore.cosign/bundle`: a promise, and never a path. Raises Malformed."""
    raw = text.encode() if isinstance(text, str) else text
    try:
        fields = _Json(loads(raw, max_bytes=MAX_LEGACY))
    except InvalidJson as error:
        raise Malformed(PART, str(error)) from None
    payload = fields.object("Payload")
    body = payload.octets("body")
    try:
        log_id = bytes.fromhex(payload.text("logID"))
    except ValueError:
        raise Malformed(PART, "logID is not hexadecimal") from None
    kind, version = body_kind(body)
    promise = fields.octets("SignedEntryTimestamp")
    integrated = payload.number("integratedTime", _MAX_TIME)
    index = payload.number("logIndex")
    return LogEntry(log_id, index, integrated or None, body, kind, version, promise, None)


class _Json:
    """An object of protobuf's JSON mapping: 64-bit numbers may be texts, zero may be left out."""

    def __init__(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise Malformed(PART, "must be a JSON object")
        self.value: Mapping[str, Any] = value

    def object(self, name: str) -> "_Json":
        if self.value.get(name) is None:
            raise Malformed(PART, f"{name} is missing")
        return _Json(self.value[name])

    def optional(self, name: str) -> "_Json | None":
        return None if self.value.get(name) is None else self.object(name)

    def text(self, name: str) -> str:
        value = self.value.get(name)
        if not isinstance(value, str):
            raise Malformed(PART, f"{name} must be a text")
        return value

    def octets(self, name: str) -> bytes:
        return _octets(self.value.get(name), name)

    def number(self, name: str, most: int = _MAX_NUMBER) -> int:
        value = self.value.get(name)
        if value is None:
            return 0
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise Malformed(PART, f"{name} must be a number from 0 to {most}")
        return value


def _octets(value: object, name: str) -> bytes:
    if not value:
        raise Malformed(PART, f"{name} is missing")
    try:
        return decode(value)
    except InvalidBase64:
        raise Malformed(PART, f"{name} is not base64") from None
