"""What clocks and logs say of signatures by keys, against a development stack without sockets."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from keylesskit import NOW, STATEMENT, URL, Local, dev, local, stack_folder, stack_state
from retinue.attest.anchors import Trust
from retinue.attest.errors import KeyUnusable, Malformed, Refused, SignerFailed
from retinue.attest.formats.bundle import read_bundle
from retinue.attest.proof import Clock
from retinue.attest.services import LogService, Witnesses
from retinue.attest.sign import signature_statement
from retinue.attest.verify import verify_bundle, verify_envelope, verify_simple
from retinue.attest.witnessed import sign_envelope, sign_simple, sign_statement
from retinue.attest.witnessing import receipt
from signing import anchored, target
from trust_vectors import private

__all__ = ["dev", "stack_folder", "stack_state"]

STAMP = f"{URL}/api/v1/timestamp"
LOG_1, LOG_2 = LogService(URL, 1), LogService(URL, 2)
SAID = signature_statement(target().digest, {})

Json = dict[str, Any]


def trust(dev: Local, key: str = "p256") -> Trust:
    return replace(anchored(key), roots=(dev.root,))


def signed(dev: Local, witnesses: Witnesses, key: str = "p256") -> bytes:
    return sign_statement(SAID, private(key), witnesses, send=dev.send)


@pytest.mark.parametrize("rooted", [True, False])
@pytest.mark.parametrize("log", [LOG_1, LOG_2])
@pytest.mark.parametrize("key", ["p256", "p384", "p521", "rsa2048"])
def test_a_bundle_has_a_time_and_an_entry(
    dev: Local, key: str, log: LogService, rooted: bool
) -> None:
    root = dev.root if rooted else None

    bundle = signed(dev, Witnesses((STAMP,), (log,), root), key)

    proof = verify_bundle(bundle, target(), trust(dev, key))
    told = {Clock.RFC3161, Clock.TLOG} if log is LOG_1 else {Clock.RFC3161}
    assert ({time.clock for time in proof.times}, proof.logged) == (told, True)


def test_the_log_is_told_what_cosign_tells_it(dev: Local) -> None:
    bundle = signed(dev, Witnesses((), (LOG_1, LOG_2), dev.root))

    entries = [(entry.kind, entry.version) for entry in read_bundle(bundle).entries]
    assert entries == [("dsse", "0.0.1"), ("hashedrekord", "0.0.2")]


def test_nobody_asked_is_a_bundle_without_witnesses(dev: Local) -> None:
    found = read_bundle(signed(dev, Witnesses()))

    assert (found.entries, found.timestamps) == ((), ())


def test_a_simple_signature_is_witnessed_in_its_annotations(dev: Local) -> None:
    witnesses = Witnesses((STAMP,), (LOG_1,), dev.root)

    made = sign_simple(target(), "r/app", {}, private("p256"), witnesses, send=dev.send)

    proof = verify_simple(made.payload, made.annotations, target(), trust(dev))
    assert {time.clock for time in proof.times} == {Clock.RFC3161, Clock.TLOG}


def test_of_a_legacy_envelope_the_whole_is_stamped(dev: Local) -> None:
    witnesses = Witnesses((STAMP,), (LOG_1,), dev.root)

    envelope, annotations = sign_envelope(SAID, private("p256"), witnesses, send=dev.send)

    (proof,) = verify_envelope(envelope, target(), trust(dev), annotations)
    assert {time.clock for time in proof.times} == {Clock.RFC3161, Clock.TLOG}
    other = envelope.replace(b'"keyid":""', b'"keyid":"x"')
    with pytest.raises(Refused, match="another signature"):
        verify_envelope(other, target(), trust(dev), annotations)


@pytest.mark.parametrize("make", [sign_statement, sign_envelope])
def test_what_is_no_statement_is_told_to_nobody(dev: Local, make: Callable[..., object]) -> None:
    def send(*_: object) -> bytes:
        raise AssertionError

    with pytest.raises(Malformed):
        make(b"{}", private("p256"), Witnesses((STAMP,), (LOG_1,)), send=send)


def test_a_log_without_promises_is_nothing_for_the_legacy_form(dev: Local) -> None:
    with pytest.raises(Refused, match="legacy"):
        sign_envelope(SAID, private("p256"), Witnesses((), (LOG_2,), dev.root), send=dev.send)


def test_a_key_that_signs_no_hash_is_refused_by_name(dev: Local) -> None:
    with pytest.raises(KeyUnusable, match="P-256"):
        signed(dev, Witnesses((), (LOG_2,)), "ed25519")
    with pytest.raises(KeyUnusable, match="ed25519"):
        sign_simple(target(), "r/app", {}, private("ed25519"), Witnesses((), (LOG_1,)))


def test_an_entry_that_is_there_is_taken_as_it_is(dev: Local) -> None:
    witnesses = Witnesses((), (LOG_1,), dev.root)

    first = read_bundle(signed(dev, witnesses, "ed25519"))
    dev.at = NOW + timedelta(minutes=1)
    second = read_bundle(signed(dev, witnesses, "ed25519"))

    assert [entry.index for entry in first.entries] == [entry.index for entry in second.entries]


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"[3]", b"nothing"])
def test_a_log_that_hides_what_it_has_is_to_blame(dev: Local, answer: bytes) -> None:
    witnesses = Witnesses((), (LOG_1,), dev.root)
    signed(dev, witnesses, "ed25519")
    dev.tamper["retrieve"] = lambda _: answer

    with pytest.raises(SignerFailed) as caught:
        signed(dev, witnesses, "ed25519")

    assert caught.value.signer == f"{URL}/api/v1/log/entries/retrieve"


def test_another_refusal_is_not_asked_about(dev: Local) -> None:
    def send(url: str, *_: object) -> bytes:
        raise SignerFailed(url, "it answered 403", 403)

    with pytest.raises(SignerFailed, match="403"):
        sign_statement(SAID, private("p256"), Witnesses((), (LOG_1,)), send=send)


def edit(change: Callable[[Json], object]) -> Callable[[bytes], bytes]:
    def apply(raw: bytes) -> bytes:
        value = json.loads(raw)
        change(value)
        return json.dumps(value).encode()

    return apply


def other_signature(entry: Json) -> None:
    body = json.loads(b64decode(entry["canonicalizedBody"]))
    body["spec"]["hashedRekordV002"]["signature"]["content"] = b64encode(b"other").decode()
    entry["canonicalizedBody"] = b64encode(json.dumps(body).encode()).decode()


def other_key(entry: Json) -> None:
    body = json.loads(b64decode(entry["canonicalizedBody"]))
    verifier = body["spec"]["hashedRekordV002"]["signature"]["verifier"]
    verifier["publicKey"]["rawBytes"] = b64encode(private("other").public.spki).decode()
    entry["canonicalizedBody"] = b64encode(json.dumps(body).encode()).decode()


WRONG: Mapping[str, tuple[str, Callable[[bytes], bytes]]] = {
    "no stamp": ("timestamp", lambda _: b""),
    "cut stamp": ("timestamp", lambda raw: raw[:-1]),
    "no entry": ("entries", lambda _: b"{}"),
    "no proof": ("entries", edit(lambda entry: entry.pop("inclusionProof"))),
    "other signature": ("entries", edit(other_signature)),
    "other key": ("entries", edit(other_key)),
}


@pytest.mark.parametrize("rooted", [True, False])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_not_kept_with_a_root_or_without(
    dev: Local, name: str, rooted: bool
) -> None:
    path, change = WRONG[name]
    dev.tamper[path] = change

    with pytest.raises(SignerFailed):
        signed(dev, Witnesses((STAMP,), (LOG_2,), dev.root if rooted else None))


@pytest.mark.parametrize("rooted", [True, False])
def test_the_stamp_of_another_signature_is_not_kept(dev: Local, rooted: bool) -> None:
    other = receipt(b"other", STAMP, None, dev.send)
    dev.tamper["timestamp"] = lambda _: other

    with pytest.raises(SignerFailed, match="another signature"):
        signed(dev, Witnesses((STAMP,), (), dev.root if rooted else None))


@pytest.mark.parametrize("witnesses", [Witnesses((STAMP,)), Witnesses((), (LOG_1,))])
def test_others_than_the_root_names_are_not_believed(
    dev: Local, tmp_path: Any, witnesses: Witnesses
) -> None:
    """Without a root they would be: whoever verifies has one."""
    foreign = local(tmp_path)
    try:
        signed(foreign, witnesses)
        with pytest.raises(SignerFailed, match="does not verify"):
            signed(foreign, replace(witnesses, root=dev.root))
    finally:
        foreign.stack.close()


def test_receipts_are_checked_like_stamps(dev: Local) -> None:
    assert receipt(b"signature", STAMP, dev.root, dev.send)
    dev.tamper["timestamp"] = lambda raw: raw[:-1]
    with pytest.raises(SignerFailed, match="does not verify"):
        receipt(b"signature", STAMP, dev.root, dev.send)


def test_the_statement_is_kept_to_the_byte(dev: Local) -> None:
    bundle = sign_statement(STATEMENT, private("p256"), Witnesses((), (LOG_1,)), send=dev.send)

    envelope = read_bundle(bundle).envelope
    assert envelope is not None
    assert envelope.payload == STATEMENT
