"""Signing without a key: what is written verifies, and whoever answers wrongly is named."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from keylesskit import NOW, STATEMENT, URL, WHO, Local, dev, local, stack_folder, stack_state
from retinue.attest.anchors import KeylessAnchor, Trust
from retinue.attest.errors import Malformed, SignerFailed
from retinue.attest.formats.bundle import read_bundle
from retinue.attest.keyless import public_services, sign_keyless
from retinue.attest.proof import Clock
from retinue.attest.services import LogService, Services
from retinue.attest.sign import signature_statement
from retinue.attest.target import Target
from retinue.attest.verify import verify_bundle
from retinue.oci import digest

__all__ = ["dev", "stack_folder", "stack_state"]

RAW = b'{"schemaVersion":2}'
TARGET = Target(digest.of(RAW), "application/vnd.oci.image.manifest.v1+json", RAW)
NEW, OLD = "signing_config.v0.2.json", "signing_config.rekor-v1.json"
BOTH = (LogService(URL, 2), LogService(URL, 1))

Json = dict[str, Any]


def trust(dev: Local) -> Trust:
    return Trust((KeylessAnchor("dev", dev.root, URL, identity=WHO),))


@pytest.mark.parametrize(
    ("config", "clocks"), [(NEW, {Clock.RFC3161}), (OLD, {Clock.RFC3161, Clock.TLOG})]
)
def test_what_is_signed_verifies(dev: Local, config: str, clocks: set[Clock]) -> None:
    bundle = dev.sign(signature_statement(TARGET.digest, {}), config)

    proof = verify_bundle(bundle, TARGET, trust(dev))

    assert (proof.principal, proof.anchors) == (f"keyless:{URL} {WHO}", ("dev",))
    assert {(time.clock, time.at) for time in proof.times} == {(clock, NOW) for clock in clocks}
    assert proof.logged


def test_the_statement_is_kept_to_the_byte(dev: Local) -> None:
    envelope = read_bundle(dev.sign()).envelope

    assert envelope is not None
    assert envelope.payload == STATEMENT


def test_several_logs_may_hold_one_signature(dev: Local) -> None:
    services = replace(dev.services(), logs=BOTH)

    bundle = sign_keyless(STATEMENT, dev.token(), services, NOW, send=dev.send)

    kinds = [(entry.kind, entry.version) for entry in read_bundle(bundle).entries]
    assert kinds == [("hashedrekord", "0.0.2"), ("dsse", "0.0.1")]


def test_a_log_of_the_first_version_is_clock_enough(dev: Local) -> None:
    services = replace(dev.services(OLD), stamps=())
    statement = signature_statement(TARGET.digest, {})

    bundle = sign_keyless(statement, dev.token(), services, NOW, send=dev.send)

    (time,) = verify_bundle(bundle, TARGET, trust(dev)).times
    assert time.clock is Clock.TLOG


def test_without_any_clock_nothing_is_asked(dev: Local) -> None:
    services = replace(dev.services(), stamps=())

    def send(*_: object) -> bytes:
        raise AssertionError

    with pytest.raises(SignerFailed, match="tells the time"):
        sign_keyless(STATEMENT, dev.token(), services, NOW, send=send)


def test_without_a_log_nothing_is_asked_where_the_root_has_some(dev: Local) -> None:
    with pytest.raises(SignerFailed, match="no log that is in force"):
        sign_keyless(STATEMENT, dev.token(), replace(dev.services(), logs=()), NOW, send=dev.send)


@pytest.mark.parametrize("statement", [b"", b"{}", b"[]", b'{"_type":"other"}'])
def test_what_is_no_statement_is_not_signed(dev: Local, statement: bytes) -> None:
    with pytest.raises(Malformed):
        dev.sign(statement)


def test_a_token_that_is_over_gets_no_certificate(dev: Local) -> None:
    token = dev.token()
    dev.at = NOW + timedelta(minutes=11)

    with pytest.raises(SignerFailed, match="over"):
        sign_keyless(STATEMENT, token, dev.services(), dev.at, send=dev.send)


def edit(change: Callable[[Json], object]) -> Callable[[bytes], bytes]:
    def apply(raw: bytes) -> bytes:
        value = json.loads(raw)
        change(value)
        return json.dumps(value).encode()

    return apply


def other_entry(value: Json) -> None:
    """An entry of another signature, as a log might answer by mistake."""
    body = json.loads(b64decode(value["canonicalizedBody"]))
    signature = body["spec"]["hashedRekordV002"]["signature"]
    signature["content"] = b64encode(b"other").decode()
    value["canonicalizedBody"] = b64encode(json.dumps(body).encode()).decode()


WRONG: Mapping[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "no json": ("signingCert", lambda _: b"<html>", "no JSON"),
    "no object": ("signingCert", lambda _: b"[]", "not an object"),
    "detached": ("signingCert", lambda _: b'{"signedCertificateDetachedSct":{}}', "show a log"),
    "no pem": (
        "signingCert",
        edit(lambda v: v["signedCertificateEmbeddedSct"]["chain"].update(certificates=["x"])),
        "show a log",
    ),
    "issuer first": (
        "signingCert",
        edit(lambda v: v["signedCertificateEmbeddedSct"]["chain"]["certificates"].pop(0)),
        "another key",
    ),
    "no stamp": ("timestamp", lambda _: b"", "does not verify"),
    "cut stamp": ("timestamp", lambda raw: raw[:-1], "does not verify"),
    "no entry": ("entries", lambda _: b"{}", "does not verify"),
    "no proof": ("entries", edit(lambda v: v.pop("inclusionProof")), "does not verify"),
    "other root": (
        "entries",
        edit(lambda v: v["inclusionProof"].update(rootHash=b64encode(bytes(32)).decode())),
        "does not verify",
    ),
    "other entry": ("entries", edit(other_entry), "does not verify"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_names_who_gave_it(dev: Local, name: str) -> None:
    path, change, why = WRONG[name]
    dev.tamper[path] = change

    with pytest.raises(SignerFailed, match=why) as caught:
        dev.sign()

    assert path in caught.value.signer or caught.value.signer == URL


def first(change: Callable[[Json], object]) -> Callable[[bytes], bytes]:
    return edit(lambda value: change(next(iter(value.values()))))


OLD_WRONG: Mapping[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"{}",
    "two": edit(lambda v: v.update(other={})),
    "a list": lambda _: b'{"a": []}',
    "no body": first(lambda e: e.pop("body")),
    "no verification": first(lambda e: e.pop("verification")),
    "hashes": first(lambda e: e["verification"]["inclusionProof"].update(hashes=["zz"])),
    "later": first(lambda e: e.update(integratedTime=e["integratedTime"] + 1)),
    "other log": first(lambda e: e.update(logID="00" * 32)),
}


@pytest.mark.parametrize("name", OLD_WRONG)
def test_a_wrong_entry_of_the_first_version_is_refused(dev: Local, name: str) -> None:
    dev.tamper["entries"] = OLD_WRONG[name]

    with pytest.raises(SignerFailed):
        dev.sign(config=OLD)


def test_a_foreign_authority_is_refused_at_once(dev: Local, tmp_path: Path) -> None:
    """The root that we were given knows neither this authority nor its clock."""
    foreign = local(tmp_path)
    services = replace(foreign.services(), root=dev.root)
    try:
        with pytest.raises(SignerFailed, match="does not verify"):
            sign_keyless(STATEMENT, foreign.token(), services, NOW, send=foreign.send)
    finally:
        foreign.stack.close()


def test_a_certificate_that_is_not_valid_yet_is_refused(dev: Local) -> None:
    """The authority's clock is ahead of the timestamp authority's."""

    def send(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        if url.endswith("/signingCert"):
            dev.at = NOW + timedelta(minutes=5)
            answer = dev.send(url, body, headers)
            dev.at = NOW
            return answer
        return dev.send(url, body, headers)

    with pytest.raises(SignerFailed, match="was valid from"):
        sign_keyless(STATEMENT, dev.token(), dev.services(), NOW, send=send)


def test_the_public_instance_comes_with_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sigstore.models")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    services: Services = public_services(NOW, offline=True)

    assert services.authority == "https://fulcio.sigstore.dev"
    assert services.issuer.startswith("https://oauth2.sigstore.dev")
    assert services.root.authorities
