"""Log entries: bound to signature, key and content; promised or included; and at what time."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from keylesskit import NOW, STATEMENT, URL, Local, dev, local, over, stack_folder, stack_state
from retinue.attest.errors import EvidenceError, Malformed, NoAnchor, Refused
from retinue.attest.formats import dsse
from retinue.attest.logentry import Hashes
from retinue.attest.proof import Clock, TrustedTime
from retinue.attest.root import Period, TrustedRoot
from retinue.attest.tlog import (
    LogEntry,
    LogProof,
    promise_payload,
    read_entry,
    read_legacy_bundle,
    verify_entry,
)
from retinue.devstack.state import State
from retinue.oci import names

__all__ = ["dev", "stack_folder", "stack_state"]

V1, V2 = "signing_config.rekor-v1.json", "signing_config.v0.2.json"
SECOND = timedelta(seconds=1)
HASHES = Hashes(dsse.pae(names.IN_TOTO, STATEMENT), STATEMENT)


class Signed:
    """A bundle's log entry with what it must be about."""

    def __init__(self, dev: Local, config: str) -> None:
        bundle = json.loads(dev.sign(config=config))
        material = bundle["verificationMaterial"]
        self.root = dev.root
        self.raw: dict[str, Any] = material["tlogEntries"][0]
        self.leaf = b64decode(material["certificate"]["rawBytes"])
        self.signature = b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])

    @property
    def entry(self) -> LogEntry:
        return read_entry(self.raw)

    def verify(self, entry: LogEntry | None = None, **other: Any) -> LogProof:
        given: dict[str, Any] = {
            "key_or_cert": self.leaf, "signature": self.signature, "artifact_hashes": HASHES,
        }  # fmt: skip
        roots = other.pop("roots", (self.root,))
        return verify_entry(entry or self.entry, roots, **{**given, **other})


@pytest.fixture(scope="module")
def stack(stack_state: State) -> Local:
    return over(stack_state)


@pytest.fixture(scope="module")
def one(stack: Local) -> Signed:
    return Signed(stack, V1)


@pytest.fixture(scope="module")
def two(stack: Local) -> Signed:
    return Signed(stack, V2)


def log_of(root: TrustedRoot, which: int, **changed: Any) -> TrustedRoot:
    """The root with one log only, changed."""
    return replace(root, logs=(replace(root.logs[which], **changed),))


def test_the_first_version_tells_the_time(one: Signed) -> None:
    proof = one.verify()

    assert proof == LogProof(URL, TrustedTime(NOW, Clock.TLOG, URL), included=True)


def test_the_second_version_tells_none(two: Signed) -> None:
    proof = two.verify()

    assert proof == LogProof(URL, None, included=True)


def test_a_path_alone_tells_no_time(one: Signed) -> None:
    proof = one.verify(replace(one.entry, promise=None))

    assert (proof.integrated, proof.included) == (None, True)


def test_a_promise_alone_is_no_inclusion(one: Signed) -> None:
    proof = one.verify(replace(one.entry, inclusion=None))

    assert (proof.integrated is not None, proof.included) == (True, False)


def test_one_of_them_is_needed(two: Signed) -> None:
    with pytest.raises(Refused, match="neither"):
        two.verify(replace(two.entry, inclusion=None))


def test_what_is_there_must_verify(one: Signed) -> None:
    entry = one.entry
    assert entry.inclusion is not None
    wrong = replace(entry.inclusion, index=entry.inclusion.index + 1)

    with pytest.raises(Refused):
        one.verify(replace(entry, inclusion=wrong))
    with pytest.raises(Refused, match="not by the log"):
        one.verify(replace(entry, promise=b"0"))
    with pytest.raises(Refused, match="without a time"):
        one.verify(replace(entry, integrated=None))
    with pytest.raises(Refused, match="not by the log"):
        one.verify(replace(entry, integrated=1))


@pytest.mark.parametrize("which", ["one", "two"])
def test_an_entry_is_of_its_signature_key_and_content(
    which: str, request: pytest.FixtureRequest
) -> None:
    signed: Signed = request.getfixturevalue(which)
    other = Hashes((b"other",), b"other")

    with pytest.raises(Refused, match="another signature"):
        signed.verify(signature=signed.signature + b"\0")
    with pytest.raises(Refused, match="another key"):
        signed.verify(key_or_cert=signed.leaf[:-1])
    with pytest.raises(Refused, match=r"another (payload|content)"):
        signed.verify(artifact_hashes=other)


def test_a_log_that_is_not_trusted_says_nothing(one: Signed, tmp_path: Path) -> None:
    foreign = local(tmp_path)
    try:
        with pytest.raises(NoAnchor):
            one.verify(roots=(foreign.root,))
        with pytest.raises(NoAnchor):
            one.verify(roots=())
        assert one.verify(roots=(foreign.root, one.root)).included
    finally:
        foreign.stack.close()


def test_a_foreign_log_under_a_trusted_name_is_refused(one: Signed, tmp_path: Path) -> None:
    foreign = local(tmp_path)
    key = foreign.root.logs[0].key
    foreign.stack.close()

    with pytest.raises(Refused):
        one.verify(roots=(log_of(one.root, 0, key=key),))


@pytest.mark.parametrize(("start", "end", "good"), [
    (0, 0, True), (0, 5, True), (-5, 0, True), (1, 5, False), (-5, -1, False),
])  # fmt: skip
def test_the_log_was_trusted_when_it_promised(
    one: Signed, start: int, end: int, good: bool
) -> None:
    period = Period(NOW + start * SECOND, NOW + end * SECOND)
    roots = (log_of(one.root, 0, period=period),)

    if good:
        assert one.verify(roots=roots).integrated is not None
    else:
        with pytest.raises(Refused, match="was not trusted"):
            one.verify(roots=roots)


def test_a_log_without_times_was_trusted_at_those_of_others(two: Signed) -> None:
    roots = (log_of(two.root, 1, period=Period(NOW, NOW)),)
    before = TrustedTime(NOW - SECOND, Clock.RFC3161, "tsa")
    then = TrustedTime(NOW, Clock.RFC3161, "tsa")

    assert two.verify(roots=roots, times=(before, then)).included
    with pytest.raises(Refused, match="was not trusted"):
        two.verify(roots=roots, times=(before,))


def test_a_stale_checkpoint_does_not_cover_a_later_entry(stack: Local) -> None:
    early = Signed(stack, V1).entry
    late = Signed(stack, V1)
    assert early.inclusion is not None
    entry = late.entry
    assert entry.inclusion is not None
    stale = replace(entry.inclusion, checkpoint=early.inclusion.checkpoint)

    with pytest.raises(Refused, match="another tree"):
        late.verify(replace(entry, inclusion=stale))


def test_a_wrong_root_is_refused(one: Signed) -> None:
    entry = one.entry
    assert entry.inclusion is not None

    with pytest.raises(Refused, match="another tree"):
        one.verify(replace(entry, inclusion=replace(entry.inclusion, root=bytes(32))))


def outcome(work: Callable[[], LogProof]) -> LogProof | str:
    try:
        return work()
    except EvidenceError as error:
        return type(error).__name__


BINARY = [
    ("one", ("inclusionPromise", "signedEntryTimestamp")),
    ("one", ("inclusionProof", "rootHash")),
    ("one", ("logId", "keyId")),
    ("one", ("canonicalizedBody",)),
    ("two", ("inclusionProof", "rootHash")),
    ("two", ("logId", "keyId")),
    ("two", ("canonicalizedBody",)),
]


@pytest.mark.parametrize(("which", "path"), BINARY)
def test_every_changed_byte_is_refused_or_changes_nothing(
    which: str, path: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    signed: Signed = request.getfixturevalue(which)
    expected = signed.verify()
    raw = json.loads(json.dumps(signed.raw))
    holder = raw
    for name in path[:-1]:
        holder = holder[name]
    content = b64decode(holder[path[-1]])

    step = max(1, len(content) // 300)
    for at in range(0, len(content), step):
        changed = content[:at] + bytes((content[at] ^ 1 << at % 8,)) + content[at + 1 :]
        holder[path[-1]] = b64encode(changed).decode()
        found = outcome(lambda: signed.verify(read_entry(raw)))
        assert isinstance(found, str) or found == expected


def test_every_changed_hash_of_a_path_is_refused(stack: Local) -> None:
    """Of eight entries in a row the last leaf of one tree has at least three hashes above it."""
    longest = max((Signed(stack, V1) for _ in range(8)), key=lambda each: len(path_of(each)))
    hashes = path_of(longest)
    assert len(hashes) >= 3
    entry = longest.entry
    assert entry.inclusion is not None
    for place, expected in enumerate(hashes):
        for at in range(32):
            changed = expected[:at] + bytes((expected[at] ^ 1 << at % 8,)) + expected[at + 1 :]
            path = (*hashes[:place], changed, *hashes[place + 1 :])
            with pytest.raises(Refused):
                longest.verify(replace(entry, inclusion=replace(entry.inclusion, hashes=path)))


def path_of(signed: Signed) -> tuple[bytes, ...]:
    inclusion = signed.entry.inclusion
    return inclusion.hashes if inclusion is not None else ()


def test_numbers_may_be_texts_or_numbers(one: Signed) -> None:
    raw = json.loads(json.dumps(one.raw))
    raw["logIndex"], raw["integratedTime"] = int(raw["logIndex"]), int(raw["integratedTime"])

    assert read_entry(raw) == one.entry


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logIndex", -1), ("logIndex", "-2"), ("logIndex", 1.5), ("logIndex", True),
        ("logIndex", "1" * 20), ("logIndex", "\u0661"), ("integratedTime", 1 << 62),
        ("logId", None), ("logId", {}), ("logId", {"keyId": "!"}), ("kindVersion", None),
        ("kindVersion", {"kind": "dsse"}), ("canonicalizedBody", ""), ("canonicalizedBody", 5),
        ("inclusionPromise", {}), ("inclusionProof", {}), ("inclusionProof", []),
    ],
)  # fmt: skip
def test_what_is_no_entry_is_malformed(one: Signed, name: str, value: Any) -> None:
    with pytest.raises(Malformed):
        read_entry({**one.raw, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("hashes", [b64encode(bytes(31)).decode()]), ("hashes", ["!"]), ("hashes", {}),
     ("hashes", [b64encode(bytes(32)).decode()] * 65), ("rootHash", ""), ("checkpoint", {}),
     ("checkpoint", None), ("treeSize", "many")],
)  # fmt: skip
def test_what_is_no_proof_is_malformed(one: Signed, name: str, value: Any) -> None:
    proof = {**one.raw["inclusionProof"], name: value}

    with pytest.raises(Malformed):
        read_entry({**one.raw, "inclusionProof": proof})


def legacy(entry: LogEntry) -> dict[str, Any]:
    payload = {
        "body": b64encode(entry.body).decode(), "integratedTime": entry.integrated,
        "logIndex": entry.index, "logID": entry.log_id.hex(),
    }  # fmt: skip
    promise = b64encode(entry.promise or b"").decode()
    return {"SignedEntryTimestamp": promise, "Payload": payload}


def test_a_legacy_bundle_holds_a_promise(one: Signed) -> None:
    entry = read_legacy_bundle(json.dumps(legacy(one.entry)))

    assert entry == replace(one.entry, inclusion=None)
    assert one.verify(entry).integrated is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [("body", "!"), ("body", b64encode(b"{}").decode()), ("body", b64encode(b"no").decode()),
     ("logID", "xx"), ("logID", None), ("integratedTime", "late"), ("logIndex", -1)],
)  # fmt: skip
def test_what_is_no_legacy_bundle_is_malformed(one: Signed, name: str, value: Any) -> None:
    bundle = legacy(one.entry)
    bundle["Payload"][name] = value

    with pytest.raises(Malformed):
        read_legacy_bundle(json.dumps(bundle))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Payload": 5}', '{"a":1,"a":1}'])
def test_other_texts_are_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_legacy_bundle(text)


def test_what_a_promise_signs_is_canonical_json() -> None:
    assert promise_payload(b"\xff", 5, 7, b"\x01") == (
        b'{"body":"/w==","integratedTime":5,"logID":"01","logIndex":7}'
    )
