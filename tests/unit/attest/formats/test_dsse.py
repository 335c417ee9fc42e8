import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.attest.errors import Malformed
from retinue.attest.formats.dsse import pae, read_envelope, signed, write_envelope

KIND = "application/vnd.in-toto+json"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def raw(**fields: object) -> bytes:
    document = {
        "payloadType": KIND,
        "payload": b64(b"hello"),
        "signatures": [{"keyid": "", "sig": b64(b"sig")}],
    }
    return json.dumps({**document, **fields}).encode()


@pytest.mark.parametrize(
    ("kind", "payload", "encoded"),
    [
        (  # the vector of DSSE's protocol.md
            "http://example.com/HelloWorld",
            b"hello world",
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
        ),
        ("", b"", b"DSSEv1 0  0 "),
        ("ü", "é 1 x".encode(), "DSSEv1 2 ü 6 é 1 x".encode()),
        ("a", b"\x00\xff", b"DSSEv1 1 a 2 \x00\xff"),
    ],
)
def test_what_is_signed(kind: str, payload: Any, encoded: bytes) -> None:
    assert encoded == b"".join(pae(kind, payload))


@given(st.text(), st.binary(), st.text(), st.binary())
def test_two_contents_are_never_signed_alike(
    kind: str, payload: Any, other_kind: str, other_payload: bytes
) -> None:
    same = (kind, payload) == (other_kind, other_payload)
    assert same == (b"".join(pae(kind, payload)) == b"".join(pae(other_kind, other_payload)))


def test_the_orders_in_which_cosign_writes_are_read() -> None:
    second = raw()
    third = json.dumps(
        {"payload": b64(b"hello"), "payloadType": KIND, "signatures": [{"sig": b64(b"sig")}]}
    ).encode()
    assert read_envelope(second) == read_envelope(third)


@pytest.mark.parametrize(
    "payload", ["-_8=", "+/8=", "-_8", "+/8"], ids=["urlsafe", "standard", "bare", "standard bare"]
)
def test_both_alphabets_are_read(payload: Any) -> None:
    assert read_envelope(raw(payload=payload)).payload == b"\xfb\xff"


def test_several_signatures_are_read_and_key_ids_are_not() -> None:
    signatures = [{"keyid": "x", "sig": b64(b"1")}, {"sig": b64(b"2")}, {"keyid": 3, "sig": "Mw=="}]
    assert read_envelope(raw(signatures=signatures)).signatures == (b"1", b"2", b"3")


def test_unknown_fields_are_ignored() -> None:
    assert read_envelope(raw(more={"a": [1]})) == read_envelope(raw())


def test_what_is_signed_can_be_gone_through_twice() -> None:
    message = signed(read_envelope(raw()))
    assert [b"".join(message), b"".join(message)] == [b"".join(pae(KIND, b"hello"))] * 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"payloadType": None}, "payloadType is None"),
        ({"payload": None}, "payload: is not base64"),
        ({"payload": "a"}, "payload: is not base64"),
        ({"payload": "aGk=aGk="}, "payload: is not base64"),
        ({"payload": "aGk\n="}, "payload: is not base64"),
        ({"payload": "aü=="}, "payload: is not base64"),
        ({"payload": 5}, "payload: is not base64"),
        ({"signatures": []}, "has no signatures"),
        ({"signatures": {"sig": ""}}, "has no signatures"),
        ({"signatures": ["c2ln"]}, "a signature is not an object"),
        ({"signatures": [{"sig": ""}]}, "has 0 bytes"),
        ({"signatures": [{"sig": "A" * 30_000}]}, "has 22500 bytes"),
        ({"signatures": [{"keyid": ""}]}, "signature: is not base64"),
        ({"signatures": [{"sig": "AA=="}] * 101}, "101 signatures"),
        ({"PayloadType": "x"}, "differ only in case"),
    ],
)
def test_what_is_no_envelope_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read_envelope(raw(**fields))


@pytest.mark.parametrize("text", [b"", b"[]", b'"x"', b"null", b'{"payload":"","payload":""}'])
def test_what_is_no_object_is_refused(text: Any) -> None:
    with pytest.raises(Malformed):
        read_envelope(text)


def test_what_is_written_is_what_cosign_2_writes() -> None:
    expected = (
        b'{"payloadType":"application/vnd.in-toto+json","payload":"aGVsbG8=",'
        b'"signatures":[{"keyid":"","sig":"c2ln"}]}'
    )
    assert expected == write_envelope(KIND, b"hello", b"sig")
