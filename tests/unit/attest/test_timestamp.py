"""Timestamps: by whom, of what, when; and what openssl and another library say of the same."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec.structs import replace
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from keylesskit import NOW, START, URL, Local, dev, local, stack_folder, stack_state
from retinue.attest.anchors import TimeAnchor
from retinue.attest.der import Reader
from retinue.attest.errors import EvidenceError, Malformed, NoAnchor, Refused
from retinue.attest.proof import Clock, TrustedTime
from retinue.attest.root import Period, TrustedRoot
from retinue.attest.timestamp import request, verify_timestamp
from retinue.devstack import encode, stamps

__all__ = ["dev", "stack_folder", "stack_state"]

SIGNATURE = b"the signature"
SECOND = timedelta(seconds=1)
TIME = TrustedTime(NOW, Clock.RFC3161, f"{URL}/api/v1/timestamp")
CODE = [ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING]


def token(dev: Local, signature: bytes = SIGNATURE) -> bytes:
    return stamps.stamp(dev.stack._state, request(signature), dev.at)


def bare(response: bytes) -> bytes:
    """The TimeStampToken in a TimeStampResp."""
    reader = Reader(response, "response").inside(0x30)
    reader.any()
    return reader.any().raw


def changed(root: TrustedRoot, **fields: Any) -> TrustedRoot:
    return replace(root, timestamps=(replace(root.timestamps[0], **fields),))


def anchor(root: TrustedRoot, start: int = 0) -> TimeAnchor:
    return TimeAnchor("receipts", root.timestamps[0].chain[start:])


def test_an_authority_of_the_root_tells_the_time(dev: Local) -> None:
    assert verify_timestamp(token(dev), SIGNATURE, (), (dev.root,)) == TIME


@pytest.mark.parametrize("start", [0, 1])
def test_an_anchor_tells_the_time_with_or_without_its_leaf(dev: Local, start: int) -> None:
    found = verify_timestamp(token(dev), SIGNATURE, (anchor(dev.root, start),), ())

    assert found == replace(TIME, authority="receipts")


def test_a_bare_token_is_read_too(dev: Local) -> None:
    assert verify_timestamp(bare(token(dev)), SIGNATURE, (), (dev.root,)) == TIME


def test_certificates_need_not_be_in_the_token_if_the_leaf_is_trusted(dev: Local) -> None:
    asked = request(SIGNATURE, 5).removesuffix(b"\x01\x01\xff")
    short = encode.element(
        0x30, Reader(b"\x30" + bytes((asked[1] - 3,)) + asked[2:], "q").any().content
    )
    lean = stamps.stamp(dev.stack._state, short, dev.at)

    assert verify_timestamp(lean, SIGNATURE, (), (dev.root,)) == TIME
    with pytest.raises(NoAnchor, match="not there"):
        verify_timestamp(lean, SIGNATURE, (anchor(dev.root, 1),), ())


def test_nobody_trusted_means_no_anchor(dev: Local, tmp_path: Path) -> None:
    foreign = local(tmp_path)
    stamp = token(foreign)
    foreign.stack.close()

    for times, roots in (((), ()), ((), (dev.root,)), ((anchor(dev.root, 1),), ())):
        with pytest.raises(NoAnchor):
            verify_timestamp(stamp, SIGNATURE, times, roots)


def test_a_time_is_of_one_signature(dev: Local) -> None:
    with pytest.raises(Refused, match="another signature"):
        verify_timestamp(token(dev), b"another", (), (dev.root,))


def test_a_time_may_be_of_the_whole_envelope(dev: Local) -> None:
    stamp = token(dev, b"envelope")

    assert verify_timestamp(stamp, SIGNATURE, (), (dev.root,), whole=b"envelope") == TIME
    with pytest.raises(Refused):
        verify_timestamp(stamp, SIGNATURE, (), (dev.root,), whole=b"another")
    with pytest.raises(Refused):
        verify_timestamp(token(dev, b""), SIGNATURE, (), (dev.root,), whole=b"")


@pytest.mark.parametrize(("start", "end", "good"), [
    (NOW, NOW, True), (START, NOW - SECOND, False), (NOW + SECOND, None, False),
])  # fmt: skip
def test_the_authority_was_trusted_then_both_ends_included(
    dev: Local, start: datetime, end: datetime | None, good: bool
) -> None:
    root = changed(dev.root, period=Period(start, end))

    if good:
        assert verify_timestamp(token(dev), SIGNATURE, (), (root,)) == TIME
    else:
        with pytest.raises(Refused, match="was not trusted"):
            verify_timestamp(token(dev), SIGNATURE, (), (root,))


@pytest.mark.parametrize("at", [START - SECOND, datetime(2037, 1, 1, tzinfo=UTC)])
def test_its_certificates_were_valid_then(dev: Local, at: datetime) -> None:
    dev.at = at

    with pytest.raises(Refused, match="was valid from"):
        verify_timestamp(token(dev), SIGNATURE, (anchor(dev.root),), ())


def test_the_last_second_of_a_certificate_counts(dev: Local) -> None:
    dev.at = dev.root.timestamps[0].chain[0].not_valid_after_utc

    assert verify_timestamp(token(dev), SIGNATURE, (), (dev.root,)).at == dev.at


def signer(dev: Local, purposes: Any, *, critical: bool, key: Any = None, sha: Any = None) -> Local:
    """The stack with another signer of times, whose certificate is for `purposes`."""
    state = dev.stack._state
    made = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other time")])
    builder = (
        x509.CertificateBuilder().subject_name(name)
        .issuer_name(state.time_root.certificate.subject).public_key(made.public_key())
        .serial_number(7).not_valid_before(START).not_valid_after(START + timedelta(days=9))
    )  # fmt: skip
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical)
    certificate = builder.sign(state.time_root.key, sha or hashes.SHA256())
    dev.stack._state = replace(state, time=replace(state.time, key=made, certificate=certificate))
    return dev


@pytest.mark.parametrize(
    ("purposes", "critical"),
    [([ExtendedKeyUsageOID.TIME_STAMPING], False), (CODE, True), (None, False),
     ([ExtendedKeyUsageOID.CODE_SIGNING], True)],
)  # fmt: skip
def test_a_signer_is_for_times_alone_and_critically(
    dev: Local, purposes: Any, critical: bool
) -> None:
    other = signer(dev, purposes, critical=critical)

    with pytest.raises(Refused, match="for timestamps"):
        verify_timestamp(token(other), SIGNATURE, (anchor(dev.root, 1),), ())


def test_an_authority_may_have_several_signers(dev: Local) -> None:
    trusted = anchor(dev.root, 1)
    other = signer(dev, [ExtendedKeyUsageOID.TIME_STAMPING], critical=True)

    assert verify_timestamp(token(other), SIGNATURE, (trusted,), ()).at == NOW


def test_a_signer_that_is_named_is_the_only_one(dev: Local) -> None:
    trusted = anchor(dev.root, 0)
    other = signer(dev, [ExtendedKeyUsageOID.TIME_STAMPING], critical=True)

    with pytest.raises(NoAnchor):
        verify_timestamp(token(other), SIGNATURE, (trusted,), ())


def outcome(raw: bytes, check: Callable[[bytes], TrustedTime]) -> TrustedTime | None:
    try:
        return check(raw)
    except EvidenceError:
        return None


@pytest.mark.parametrize("start", [0, 1])
def test_every_changed_byte_is_refused_or_changes_nothing(dev: Local, start: int) -> None:
    raw = token(dev)
    trusted = anchor(dev.root, start)
    expected = verify_timestamp(raw, SIGNATURE, (trusted,), ())

    def check(changed: bytes) -> TrustedTime:
        return verify_timestamp(changed, SIGNATURE, (trusted,), ())

    found = {
        outcome(raw[:at] + bytes((raw[at] ^ 1 << at % 8,)) + raw[at + 1 :], check)
        for at in range(len(raw))
    }

    assert found == {None, expected}


def test_every_shortened_token_is_malformed(dev: Local) -> None:
    raw = token(dev)
    for size in range(0, len(raw), 7):
        with pytest.raises((Malformed, Refused)):
            verify_timestamp(raw[:size], SIGNATURE, (), (dev.root,))


@pytest.mark.parametrize("raw", [b"", b"\x30\x00", b"\x30\x80\x00\x00", b"x" * 300_000])
def test_what_is_no_token_is_malformed(dev: Local, raw: bytes) -> None:
    with pytest.raises(Malformed):
        verify_timestamp(raw, SIGNATURE, (), (dev.root,))


def test_what_was_not_granted_is_refused(dev: Local) -> None:
    refused = encode.sequence(encode.sequence(encode.integer(2)))

    with pytest.raises(Refused, match="not granted"):
        verify_timestamp(refused, SIGNATURE, (), (dev.root,))


def test_another_library_agrees(dev: Local) -> None:
    leaf, root = dev.root.timestamps[0].chain
    verifier = VerifierBuilder(tsa_certificate=leaf, roots=[root]).build()

    assert verifier.verify_message(decode_timestamp_response(token(dev)), SIGNATURE)


def test_a_request_is_for_a_hash_with_certificates() -> None:
    query = stamps.read_query(request(SIGNATURE, 5))

    assert query.certificates
    assert query.nonce == encode.integer(5)
    assert query.imprint.endswith(hashlib.sha256(SIGNATURE).digest())
