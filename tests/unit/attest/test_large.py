"""Large attestations: the same answers as for small ones, without holding what they are made of."""

import base64
import json
import tracemalloc
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest

from retinue.attest import large
from retinue.attest.errors import Malformed, NoAnchor, Refused
from retinue.attest.formats import dsse
from retinue.attest.formats.dsse import read_envelope
from retinue.attest.large import Encoded
from retinue.attest.sign import sign_envelope, sign_statement
from retinue.attest.statement import Subject, read_statement, write_statement
from retinue.attest.verify import verify_bundle, verify_envelope
from retinue.oci import names
from retinue.oci.digest import encoded
from signing import anchored, edited, target
from trust_vectors import private

P = "https://example.com/p"
MIB = 1024 * 1024
PREDICATE = json.dumps({"a": ['[{\\"é', {"b": "x" * 100_000}] * 3}, ensure_ascii=False).encode()


@pytest.fixture(params=["small", "large"])
def both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is a matter of a number: both ways give the same answers."""
    if request.param == "large":
        monkeypatch.setattr(large, "SMALL", 2000)


def statement(predicate: bytes = PREDICATE) -> bytes:
    return write_statement(P, predicate, (Subject("a", {"sha256": encoded(target().digest)}, {}),))


STATEMENT = statement()
BUNDLE = sign_statement(STATEMENT, private("p256"))
ENVELOPE = sign_envelope(STATEMENT, private("p256"))


@pytest.mark.usefixtures("both")
def test_a_signature_over_much_is_proven() -> None:
    trust = anchored("other", "p256")
    (legacy,) = verify_envelope(ENVELOPE, target(), trust)
    proof = verify_bundle(BUNDLE, target(), trust)
    assert proof.statement is not None
    assert (PREDICATE, legacy.signature) == (proof.statement.predicate, proof.signature)


def test_large_and_small_give_the_same_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    small = verify_bundle(BUNDLE, target(), anchored("p256"))
    monkeypatch.setattr(large, "SMALL", 2000)
    assert small == verify_bundle(BUNDLE, target(), anchored("p256"))


@pytest.mark.usefixtures("both")
def test_a_signature_over_something_else_is_not() -> None:
    other = base64.b64encode(statement(PREDICATE.replace(b"xx", b"xy", 1))).decode()
    with pytest.raises(Refused):
        verify_bundle(
            edited(BUNDLE, "dsseEnvelope", "payload", value=other), target(), anchored("p256")
        )
    with pytest.raises(NoAnchor):
        verify_envelope(edited(ENVELOPE, "payload", value=other), target(), anchored("p256"))


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_both_alphabets_with_and_without_padding(padding: int) -> None:
    payload = bytes(range(256)) * 600 + b"x" * padding
    for text in (base64.b64encode(payload).decode(), base64.urlsafe_b64encode(payload).decode()):
        for form in (text, text.rstrip("=")):
            found = read_envelope(envelope(form)).payload
            assert payload == b"".join(found if isinstance(found, Encoded) else (found,))
            assert len(payload) == len(found)


def envelope(payload: str) -> bytes:
    document = {"payload": payload, "payloadType": "x", "signatures": [{"sig": "AA=="}]}
    return json.dumps(document).encode()


LONG = "QUJD" * 30_000


@pytest.mark.parametrize(
    "payload", [LONG + "A", LONG + "A=AA", LONG + "A===", LONG + "!", "!" + LONG, LONG + " "]
)
@pytest.mark.usefixtures("both")
def test_what_is_no_base64_is_refused(payload: str) -> None:
    with pytest.raises(Malformed):
        b"".join(dsse.signed(read_envelope(envelope(payload))))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"' + LONG.encode() + b'"',
        b'{"a":' + LONG.encode() + b"}",
        b'{"a":"x"' + LONG.encode() + b'"}',
        b'{"a":"' + LONG.encode() + b'","a":1}',
        b'{"a":"' + LONG.encode() + b'","A":1}',
        b'{"~~huge~~0":"' + LONG.encode() + b'"}',
        b'["~~huge~~0","' + LONG.encode() + b'"]',
        b'"' + LONG.encode() + b'" x',
    ],
)
def test_what_is_around_is_parsed_strictly(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "SMALL", 2000)
    with pytest.raises(Malformed):
        large.load(raw, "document")


def test_a_huge_string_is_itself_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "SMALL", 2000)
    found = large.load(b'{"a":["x\\"","%b"],"b":"\\"y"}' % LONG.encode(), "document")
    assert {"a": ['x"', Encoded], "b": '"y'} == {**found, "a": ['x"', type(found["a"][1])]}
    assert base64.b64decode(LONG) == b"".join(found["a"][1])


def test_a_string_that_ends_in_a_long_run_is_no_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quote before the run is escaped: it does not open a string."""
    monkeypatch.setattr(large, "SMALL", 2000)
    raw = envelope("PAYLOAD").replace(b'"PAYLOAD"', b'"x\\"' + LONG.encode() + b'"')
    with pytest.raises(Malformed, match="payload: is not base64"):
        read_envelope(raw)


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((b'"predicateType"', b'"predicatetype"'), "predicateType is None"),
        ((b'"predicateType"', b'"Predicate"'), "differ only in case"),
        ((b'"_type"', b'"predicate":1,"_type"'), "occurs twice|besides its predicate"),
        ((b'{"_type"', b'["_type"'), "statement"),
        ((b"}", b""), "statement"),
    ],
)
def test_a_large_statement_is_read_strictly(change: tuple[bytes, bytes], said: str) -> None:
    raw = change[1].join(STATEMENT.rsplit(change[0], 1))
    with pytest.raises(Malformed, match=said):
        read_statement(raw)


@pytest.mark.parametrize(
    ("predicate", "said"),
    [
        (b'{"a":[' + b" " * 400 + b"}", "the other kind of bracket"),
        (b'{"a":[' * 200 + b"]}" * 200, "deeper than 128"),
        (b'"' + b"x" * 3000 + b"\xff" + b'"', "not UTF-8"),
        (b'{"a":"' + b"x" * 3000, "a closing bracket|the end of a string"),
    ],
)
def test_a_large_predicate_must_be_whole(
    predicate: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "SMALL", 300)
    raw = STATEMENT.replace(PREDICATE, predicate)
    with pytest.raises(Malformed, match=said):
        read_statement(raw)


@pytest.mark.parametrize("predicate", [b"1e5", b'"\\"x"', b"{}", b"[]", b"null", b'[{"a":"]"}]'])
def test_predicates_of_all_kinds_are_found(
    predicate: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = STATEMENT.replace(PREDICATE, b" " * 3000 + predicate + b" \n")
    small = read_statement(raw)
    monkeypatch.setattr(large, "SMALL", len(raw) - 1)
    assert small == read_statement(raw)
    assert small.predicate == predicate


@pytest.mark.parametrize("raw", [b"{}", b'{"_type":1}', b'{"a\n":1}', b'{"a":1,}', b"[]", b""])
def test_a_large_statement_needs_a_predicate(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "SMALL", -1)
    with pytest.raises(Malformed, match=r"statement: (is larger than|invalid JSON)"):
        read_statement(raw)


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "SMALL", 2000)
    with pytest.raises(Malformed, match="more than 2000 bytes besides its payload"):
        read_envelope(edited(ENVELOPE, "more", value="x " * 2000))
    with pytest.raises(Malformed, match="more than 2000 bytes besides its predicate"):
        read_statement(STATEMENT.replace(b'"a"', b'"%b"' % (b"a" * 3000), 1))
    monkeypatch.setattr(large, "MAX_BYTES", 1000)
    with pytest.raises(Malformed, match="more than the 1000 allowed"):
        read_envelope(ENVELOPE)
    monkeypatch.setattr(large, "MAX_ENCODED", 1000)
    with pytest.raises(Malformed, match="more than the 1000 allowed"):
        read_envelope(ENVELOPE)


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[mmap]:
    """A bundle of 8 MiB around a predicate of 6 MiB, in a file."""
    document = b'{"items":[%b0]}' % (b'{"name":"component","purl":"pkg:npm/x"},' * (6 * MIB // 40))
    path = tmp_path / "bundle.json"
    path.write_bytes(sign_statement(statement(document), private("p256")))
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as found:
        yield found


def test_memory_is_bounded(mapped: mmap) -> None:
    tracemalloc.start()
    try:
        proof = verify_bundle(mapped, target(), anchored("p256"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert proof.statement is not None
    size = len(proof.statement.predicate)
    assert size > 5 * MIB
    assert most < size + 9 * MIB


def test_a_refused_map_can_be_closed(mapped: mmap) -> None:
    with pytest.raises(NoAnchor) as error:
        verify_bundle(mapped, target(), anchored("other"))
    mapped.close()  # raises BufferError where the traceback still holds a view of it
    assert (mapped.closed, error.type) == (True, NoAnchor)


def test_names_of_the_payload_type_are_signed_with_it() -> None:
    found = read_envelope(ENVELOPE)
    assert b"".join(dsse.signed(found)) == b"".join(dsse.pae(names.IN_TOTO, STATEMENT))
