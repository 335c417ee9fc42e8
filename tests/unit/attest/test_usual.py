"""The fast reader of usual documents reads nothing that the strict one refuses or reads otherwise."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.attest import large, statement, usual
from retinue.attest.errors import Malformed
from retinue.attest.formats import bundle

BLOBS = Path(__file__).parents[2] / "vectors/trust/blobs"
DIGEST = "a" * 64
BUNDLE: dict[str, Any] = {
    "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
    "verificationMaterial": {"publicKey": {"hint": "h"}},
    "dsseEnvelope": {
        "payload": "e30x",
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": "c2ln"}],
    },
}
STATEMENT: dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "n", "digest": {"sha256": DIGEST}, "annotations": {"a": "b", "c": "d"}}],
    "predicateType": "p",
    "predicate": {"x": [1, 2.5, "é\\n"], "X": None},
}


def compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def same_bundle(raw: bytes) -> None:
    if usual.bundle(raw) is not None:
        assert outcome(bundle.read_bundle, raw) == outcome(bundle.read_strictly, raw)


def same_statement(raw: bytes) -> None:
    if usual.statement(raw, large.MAX_DEPTH) is not None:
        assert outcome(statement.read_statement, raw) == outcome(statement.read_strictly, raw)


def outcome(read: Callable[[bytes], object], raw: bytes) -> object:
    try:
        return read(raw)
    except Malformed as problem:
        return str(problem)


CASES = {
    "bundle": (compact(BUNDLE), same_bundle),
    "statement": (compact(STATEMENT), same_statement),
}
ALL = pytest.mark.parametrize("case", CASES)
PIECES = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\0", b"\x7f", b"\xff", b"\xc3",
    b"null", b"NaN", b"1e999", b"9" * 5000, b"-0", b"true", b'""', b"{}", b"[]", b'"a":1,',
    b"\\u0041", b"\\ud800", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"=", b"-", b"_", b"A", b"a",
)  # fmt: skip


def test_what_cosign_wrote_is_usual() -> None:
    read = [usual.bundle(blob) for blob in _bundles()]
    envelopes = [found.dsseEnvelope for found in read if found is not None]

    usually = [usual.statement(each.payload, large.MAX_DEPTH) for each in envelopes]

    assert len(envelopes) > len(read) // 2
    assert sum(each is not None for each in usually) > len(usually) // 2


@pytest.mark.parametrize("path", sorted(BLOBS.iterdir()), ids=lambda path: path.name[:12])
def test_what_tools_wrote(path: Path) -> None:
    raw = path.read_bytes()

    same_bundle(raw)
    same_statement(raw)


def _bundles() -> Iterator[bytes]:
    for path in sorted(BLOBS.iterdir()):
        raw = path.read_bytes()
        if b'"publicKey":{"hint"' in raw and b'"dsseEnvelope"' in raw:
            yield raw


@ALL
def test_every_byte_replaced_inserted_or_left_out(case: str) -> None:
    raw, check = CASES[case]
    for place in range(len(raw) + 1):
        check(raw[:place] + raw[place + 1 :])
        for piece in PIECES:
            check(raw[:place] + piece + raw[place:])
            check(raw[:place] + piece + raw[place + 1 :])


@ALL
@given(data=st.data())
def test_pieces_of_it_in_other_places(case: str, data: st.DataObject) -> None:
    raw, check = CASES[case]
    cuts = st.integers(0, len(raw))
    for _ in range(data.draw(st.integers(1, 3))):
        start, end = sorted((data.draw(cuts), data.draw(cuts)))
        place = data.draw(cuts)
        raw = raw[:place] + raw[start:end] + raw[place:]
    check(raw)


MEMBERS = st.sampled_from(
    ["_type", "subject", "predicateType", "predicate", "Predicate", "name", "digest", "x"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.just(STATEMENT["_type"])
    | st.just(STATEMENT["subject"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(st.tuples(MEMBERS, VALUES), max_size=6), st.booleans())
def test_members_twice_in_any_order_with_any_value(
    members: list[tuple[str, Any]], ascii_only: bool
) -> None:
    known = list(STATEMENT.items())
    texts = [
        f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'), ensure_ascii=ascii_only)}"
        for name, value in (*known, *members)
    ]
    for order in (texts, texts[::-1]):
        same_statement(f"{{{','.join(order)}}}".encode())


@pytest.mark.parametrize(
    "text",
    ["e30", "e30=", "e31=", "e3-_", "e3+/", "=", "====", "e===", "ee==", "e30 ", "e30\n", "", "é"],
)
@pytest.mark.parametrize("field", ["payload", "sig"])
def test_base64_of_all_sorts(text: str, field: str) -> None:
    envelope = dict(BUNDLE["dsseEnvelope"])
    if field == "payload":
        envelope["payload"] = text
    else:
        envelope["signatures"] = [{"sig": text}]

    same_bundle(compact(BUNDLE | {"dsseEnvelope": envelope}))


@given(st.binary(max_size=40), st.text("ABYZabyz0189+/-_= ", max_size=12))
def test_any_base64(content: bytes, text: str) -> None:
    for each in (base64.b64encode(content).decode(), text):
        envelope = BUNDLE["dsseEnvelope"] | {"payload": each}
        same_bundle(compact(BUNDLE | {"dsseEnvelope": envelope}))


@pytest.mark.parametrize(
    "predicate",
    [
        "1e308", "1e309", "1.7976931348623159e308", "-1e999", "9" * 4300, "9" * 4301, "1" * 400,
        "1" * 400 + ".5", "0e99999", "-0", "1E5", "NaN", "Infinity", '"\\ud800"', '"\\udc00"',
        '"\\ud83d\\ude00"', '"\\ud83d"', '"\x7f"', '"\x1f"', '{"a":1,"a":2}', '{"a":1,"A":2}',
        "[" * 126 + "]" * 126, "[" * 127 + "]" * 127, "[" * 128 + "]" * 128, "[" * 2000,
        '"' + "[" * 2000 + '"', "[1,]", '"\u2028"', "01", "1.", '"}"', '"\\""', "  1  ",
    ],
)  # fmt: skip
def test_predicates_of_all_sorts(predicate: str) -> None:
    known = compact(STATEMENT | {"predicate": 0}).removesuffix(b"0}")

    same_statement(known + predicate.encode() + b"}")
    same_statement(known + predicate.encode() + b'},"predicate":1}')


def test_a_predicate_with_invalid_text_is_not_usual() -> None:
    raw = compact(STATEMENT | {"predicate": "é"})

    assert usual.statement(raw, 128) is not None
    assert usual.statement(raw.replace("é".encode(), b"\xff\xff"), 128) is None


def test_one_that_is_nested_deeper_is_not_usual() -> None:
    raw = compact(STATEMENT | {"predicate": [[[]]]})

    assert usual.statement(raw, 4) is not None
    assert usual.statement(raw, 3) is None
