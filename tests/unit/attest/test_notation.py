"""Notation's signatures: those of the real tool verify, ours are like them, and all else is refused."""

import base64
import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from keylesskit import Local, dev, stack_folder, stack_state
from retinue.attest.anchors import Trust, X509Anchor
from retinue.attest.errors import EvidenceError, KeyUnusable, Malformed, NoAnchor, Refused
from retinue.attest.formats import jws
from retinue.attest.keys.pem import load_private
from retinue.attest.notation import (
    countersigned,
    sign_notation,
    signature_of,
    thumbprints,
    verify_notation,
)
from retinue.attest.proof import Clock, Format, Proof, TrustedTime
from retinue.attest.timestamp import request
from retinue.devstack import stamps
from retinue.oci import names
from unit.attest.notary_vectors import KINDS, TYPES, read, target, trusting

__all__ = ["dev", "stack_folder", "stack_state"]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def verify(raw: bytes, form: str = "jws", trust: Trust | None = None) -> Proof:
    return verify_notation(raw, TYPES[form], target(), trust or trusting())


def sign(kind: str = "P-256", **more: Any) -> bytes:
    signer = load_private(read(f"{kind}.key"), None, kind)
    return sign_notation(target(), signer, read(f"{kind}.chain.pem"), now=NOW, **more)


def resigned(headers: Mapping[str, Any], payload: bytes | None = None) -> bytes:
    """A signature by the P-256 key whose protected headers are these besides the usual ones."""
    envelope = json.loads(sign())
    protected = json.loads(jws.decode(envelope["protected"].encode(), "")) | headers
    protected = {name: value for name, value in protected.items() if value is not None}
    envelope["protected"] = jws.encode(json.dumps(protected).encode()).decode()
    if payload is not None:
        envelope["payload"] = jws.encode(payload).decode()
    message = f"{envelope['protected']}.{envelope['payload']}".encode()
    der = load_private(read("P-256.key"), None, "").sign((message,))
    envelope["signature"] = jws.encode(_raw(der)).decode()
    return json.dumps(envelope).encode()


def _raw(der: bytes) -> bytes:
    from retinue.attest.formats.jwa import SCHEMES, from_der

    return from_der(SCHEMES["ES256"], der)


@pytest.mark.parametrize("form", TYPES)
@pytest.mark.parametrize("kind", KINDS[:-1])
def test_what_notation_signed_verifies(kind: str, form: str) -> None:
    proof = verify(read(f"{kind}.{form}"), form, trusting(O="Example", CN=kind))

    assert proof.format is Format.NOTATION
    assert proof.principal == f"x509:CN={kind},OU=Builders,O=Example,ST=Berlin,C=DE"
    assert proof.anchors == ("notary",)
    assert proof.annotations == {"env": "prod"}
    assert proof.expires is not None
    assert proof.not_before is not None
    assert proof.not_after is not None
    assert proof.not_before < proof.not_after
    assert proof.times == ()


@pytest.mark.parametrize("form", TYPES)
def test_a_certificate_that_signed_itself_is_its_own_root(form: str) -> None:
    proof = verify(read(f"self.{form}"), form, trusting(root="self.chain.pem"))

    assert proof.expires is None
    assert proof.annotations == {}


@pytest.mark.parametrize("kind", KINDS)
def test_ours_verify(kind: str) -> None:
    root = "self.chain.pem" if kind == "self" else "root.pem"
    expires = NOW + timedelta(days=1)

    proof = verify(sign(kind, expires=expires, annotations={"a": "b"}), trust=trusting(root=root))

    assert proof.annotations == {"a": "b"}
    assert proof.expires == expires


def test_an_intermediate_may_be_the_anchor_and_the_principal_stays() -> None:
    from cryptography import x509

    _, middle, root = x509.load_pem_x509_certificates(read("P-256.chain.pem"))
    trust = Trust((X509Anchor("m", (middle,), {}), X509Anchor("r", (root,), {})))

    proof = verify(read("P-256.jws"), trust=trust)

    assert proof.anchors == ("m", "r")
    assert proof.principal == verify(read("P-256.jws")).principal


@pytest.mark.parametrize("trust", [Trust(), trusting(CN="other"), trusting(root="self.chain.pem")])
def test_without_root_and_subject_there_is_no_anchor(trust: Trust) -> None:
    with pytest.raises(NoAnchor):
        verify(read("P-256.jws"), trust=trust)


@pytest.mark.parametrize("form", TYPES)
@pytest.mark.parametrize(
    "other",
    [
        target(b"{}"),
        target(media_type=names.OCI_INDEX),
        target(b" " + read("target.json")),
    ],
)
def test_another_target_is_refused(form: str, other: Any) -> None:
    with pytest.raises(Refused, match="targetArtifact"):
        verify_notation(read(f"P-256.{form}"), TYPES[form], other, trusting())


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"cty": "text/plain"}, "cty"),
        ({"cty": None}, "cty"),
        ({"alg": "none"}, "alg"),
        ({"alg": "HS256"}, "alg"),
        ({"alg": "ES384"}, "alg"),
        ({"crit": None}, "crit"),
        ({"crit": []}, "crit"),
        ({"crit": ["io.cncf.notary.signingScheme", "b64"], "b64": False}, "crit"),
        ({"crit": ["io.cncf.notary.signingScheme"] * 2}, "crit"),
        ({"io.cncf.notary.signingScheme": "notary.x510"}, "signingScheme"),
        ({"io.cncf.notary.signingTime": None}, "signingTime"),
        ({"io.cncf.notary.signingTime": "yesterday"}, "signingTime"),
        ({"io.cncf.notary.authenticSigningTime": "2026-01-01T00:00:00Z"}, "authenticSigningTime"),
        ({"io.cncf.notary.expiry": "2027-01-01T00:00:00Z"}, "crit"),
        (
            {
                "io.cncf.notary.expiry": "2026-11-21T12:00:00Z",
                "crit": ["io.cncf.notary.signingScheme", "io.cncf.notary.expiry"],
            },
            "expiry",
        ),
        (
            {
                "io.cncf.notary.verificationPlugin": "x",
                "crit": ["io.cncf.notary.signingScheme", "io.cncf.notary.verificationPlugin"],
            },
            "crit",
        ),
    ],
)
def test_protected_headers_are_held_to_their_rules(headers: Mapping[str, Any], field: str) -> None:
    with pytest.raises(EvidenceError, match=field):
        verify(resigned(headers))


def test_an_authority_may_state_the_time_and_is_not_believed_it() -> None:
    proof = verify(
        resigned(
            {
                "io.cncf.notary.signingScheme": "notary.x509.signingAuthority",
                "io.cncf.notary.signingTime": None,
                "io.cncf.notary.authenticSigningTime": "2026-01-01T00:00:00+01:00",
                "crit": ["io.cncf.notary.signingScheme", "io.cncf.notary.authenticSigningTime"],
            }
        )
    )

    assert proof.times == ()


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"{}",
        b'{"targetArtifact":{},"TargetArtifact":{}}',
        b'{"targetArtifact":{},"targetArtifact":{}}',
        read("target.json"),
    ],
)
def test_payloads_that_do_not_name_the_target_are_refused(payload: bytes) -> None:
    with pytest.raises(EvidenceError):
        verify(resigned({}, payload))


@pytest.mark.filterwarnings("ignore")  # `cryptography` warns of some that it still reads
@pytest.mark.parametrize("form", TYPES)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_every_change_of_a_byte_is_refused_or_yields_the_same_proof(
    form: str, data: st.DataObject
) -> None:
    raw = bytearray(read(f"P-256.{form}"))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        proof = verify(bytes(raw), form)
    except EvidenceError:
        return
    assert proof == verify(read(f"P-256.{form}"), form)


@pytest.mark.parametrize("form", TYPES)
@given(size=st.integers(0, 2000))
@settings(max_examples=40, deadline=None)
def test_what_is_cut_off_is_malformed(form: str, size: int) -> None:
    with pytest.raises(EvidenceError):
        verify(read(f"P-256.{form}")[:size], form)


@pytest.mark.parametrize("form", TYPES)
@given(raw=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_other_bytes_are_malformed(form: str, raw: bytes) -> None:
    with pytest.raises(Malformed):
        verify(raw, form)


def test_a_chain_of_another_order_is_refused() -> None:
    envelope = json.loads(read("P-256.jws"))
    leaf, middle, root = envelope["header"]["x5c"]
    for chain in (
        [leaf, root],
        [leaf, root, middle],
        [leaf],
        [leaf, middle],
        [leaf, middle, root, root],
    ):
        envelope["header"]["x5c"] = chain
        with pytest.raises(Refused):
            verify(json.dumps(envelope).encode())


def test_a_header_both_protected_and_not_is_malformed() -> None:
    envelope = json.loads(read("P-256.jws"))
    envelope["header"]["alg"] = "ES256"
    with pytest.raises(Malformed, match="both"):
        verify(json.dumps(envelope).encode())


def test_a_media_type_of_no_envelope_is_malformed() -> None:
    with pytest.raises(Malformed, match="text/plain"):
        verify_notation(b"{}", "text/plain", target(), trusting())


def test_a_key_of_another_certificate_does_not_sign() -> None:
    signer = load_private(read("P-384.key"), None, "ours.key")
    with pytest.raises(KeyUnusable, match="not the key"):
        sign_notation(target(), signer, read("P-256.chain.pem"), now=NOW)


def test_the_prefix_of_the_notary_project_is_not_ours_to_write() -> None:
    with pytest.raises(Refused, match="prefix"):
        sign(annotations={"io.cncf.notary.x": "y"})


@pytest.mark.parametrize("form", TYPES)
def test_thumbprints_are_those_that_notation_writes(form: str) -> None:
    manifest = json.loads(read(f"P-256.{form}.manifest.json"))

    found = thumbprints(read(f"P-256.{form}"), TYPES[form])

    assert manifest["annotations"].items() >= found.items()


def test_a_countersignature_in_the_wrong_form_is_malformed() -> None:
    envelope = json.loads(read("P-256.jws"))
    envelope["header"]["io.cncf.notary.timestampSignature"] = "!"
    with pytest.raises(Malformed, match="timestampSignature"):
        verify(json.dumps(envelope).encode())


def test_the_same_content_signed_again_is_the_same_signature() -> None:
    assert verify(sign()).signature == verify(sign()).signature
    assert base64.b64decode(json.loads(sign())["header"]["x5c"][0])


def stamped(dev: Local, over: bytes | None = None) -> bytes:
    envelope = sign()
    query = request(signature_of(envelope) if over is None else over)
    return countersigned(envelope, stamps.stamp(dev.stack._state, query, dev.at))


def with_root(dev: Local) -> Trust:
    return replace(trusting(), roots=(dev.root,))


def test_a_countersignature_of_a_trusted_authority_is_a_time(dev: Local) -> None:
    later = NOW + timedelta(days=1)

    [time] = verify(stamped(dataclasses.replace(dev, at=later)), trust=with_root(dev)).times

    assert time == TrustedTime(later, Clock.RFC3161, dev.root.timestamps[0].name)


def test_a_countersignature_of_another_authority_says_nothing(dev: Local) -> None:
    assert verify(stamped(dev)).times == ()


def test_a_countersignature_of_another_signature_is_refused(dev: Local) -> None:
    with pytest.raises(Refused, match="timestamp"):
        verify(stamped(dev, b"another"), trust=with_root(dev))


def test_a_trusted_time_when_the_chain_was_not_valid_is_refused(dev: Local) -> None:
    """The stack's clock stands at a time before the vectors' certificates."""
    with pytest.raises(Refused, match="was valid"):
        verify(stamped(dev), trust=with_root(dev))


def test_a_signature_with_its_s_negated_is_the_same_signature() -> None:
    """ECDSA's `s` is not authenticated: n - s verifies, too, and must not count twice."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
    envelope = json.loads(read("P-256.jws"))
    raw = jws.decode(envelope["signature"].encode(), "")
    changed = raw[:32] + (order - int.from_bytes(raw[32:])).to_bytes(32)
    envelope["signature"] = jws.encode(changed).decode()

    assert verify(json.dumps(envelope).encode()) == verify(read("P-256.jws"))
