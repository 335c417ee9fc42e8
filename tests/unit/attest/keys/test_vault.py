"""Vault's transit engine, as its HTTP API documents it."""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retinue.attest.errors import KeyUnusable, SignerFailed
from retinue.attest.keys.pss import as_pss
from retinue.attest.keys.table import open_public, open_signer
from unit.attest.keys import fakes
from unit.attest.keys.fakes import P256, RSA, Asked, Fake

MESSAGE = (b"a message ", b"in parts")
ED = Ed25519PrivateKey.generate()
KEYS: dict[str, Any] = {"p256": P256, "rsa": RSA, "ed": ED}
TOKEN = "hvs.secret-token"


def answer(asked: Asked) -> tuple[int, Any]:
    if asked.headers.get("x-vault-token") != TOKEN:
        return 403, {"errors": ["permission denied"]}
    mount, verb, name, *hashed = asked.path.removeprefix("/v1/").split("/")
    if mount != "transit" or name not in KEYS:
        return 404, {"errors": []}
    if (asked.method, verb) == ("GET", "keys"):
        return 200, {"data": _described(name)}
    assert (asked.method, verb) in {("POST", "sign"), ("PUT", "sign")}
    assert asked.body["key_version"] in {2, "0"}  # the newest, as cosign asks for it
    data = b64decode(asked.body["input"])
    if name == "ed":
        assert not asked.body["prehashed"]
        signature = ED.sign(data)
    else:
        assert asked.body["prehashed"]
        assert hashed == [f"sha2-{8 * len(data)}"]
        pss = asked.body["signature_algorithm"] == "pss"
        signature = fakes.sign(KEYS[name], data, pss=pss)
    return 200, {"data": {"signature": "vault:v2:" + b64encode(signature).decode()}}


def _described(name: str) -> dict[str, Any]:
    kind = {"p256": "ecdsa-p256", "rsa": "rsa-2048", "ed": "ed25519"}[name]
    stated = fakes.public(KEYS[name]).decode()
    if name == "ed":
        stated = b64encode(ED.public_key().public_bytes_raw()).decode()
    old = {"name": "P-256", "public_key": "old"}
    keys = {"1": old, "2": {"name": kind, "public_key": stated}}
    return {"type": kind, "latest_version": 2, "keys": keys}


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    with fakes.serving(answer) as fake:
        monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{fake.port}/")
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        monkeypatch.delenv("TRANSIT_SECRET_ENGINE_PATH", raising=False)
        yield fake


@pytest.mark.parametrize("name", KEYS)
def test_what_it_signs_its_public_key_verifies(vault: Fake, name: str) -> None:
    signer = open_signer(f"hashivault://{name}")

    signature = signer.sign(MESSAGE)

    assert signer.public.verify(signature, MESSAGE)
    assert signer.public == open_public(f"hashivault://{name}")


def test_only_the_hash_goes_there(vault: Fake) -> None:
    open_signer("hashivault://p256").sign((b"a very secret statement",))

    sent = b64decode(vault.asked[-1].body["input"])
    assert len(sent) == 32


def test_an_rsa_key_signs_with_pss_too(vault: Fake) -> None:
    signer = as_pss(open_signer("hashivault://rsa"))

    assert signer.public.verify(signer.sign(MESSAGE), MESSAGE)
    assert vault.asked[-1].body["signature_algorithm"] == "pss"


def test_a_refusal_says_what_the_service_said_and_no_secret(
    vault: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "wrong-token")
    with pytest.raises(SignerFailed, match="403: permission denied") as caught:
        open_signer("hashivault://p256")
    assert "wrong-token" not in str(caught.value)


def test_a_redirect_is_not_followed(vault: Fake) -> None:
    vault.answer = lambda _: (302, {})
    with pytest.raises(SignerFailed, match="302"):
        open_signer("hashivault://p256")
    assert len(vault.asked) == 1


@pytest.mark.parametrize(
    "told",
    [
        [],
        {},
        {"data": {"latest_version": "2"}},
        {"data": {"latest_version": 2, "keys": {}}},
        {"data": {"latest_version": 2, "keys": {"2": {"public_key": 5}}}},
    ],
)
def test_answers_of_another_shape(vault: Fake, told: Any) -> None:
    vault.answer = lambda _: (200, told)
    with pytest.raises(SignerFailed, match="answered"):
        open_signer("hashivault://p256")


def test_nobody_there(vault: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    with pytest.raises(SignerFailed, match="cannot be reached"):
        open_signer("hashivault://p256")


@pytest.mark.parametrize("name", ["", "../sys", "a/b", "a?b"])
def test_names_that_are_none(vault: Fake, name: str) -> None:
    with pytest.raises(KeyUnusable, match="hashivault://NAME"):
        open_signer(f"hashivault://{name}")
    assert vault.asked == []


@pytest.mark.parametrize("name", ["VAULT_ADDR", "VAULT_TOKEN"])
def test_what_the_environment_must_say(
    vault: Fake, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(KeyUnusable, match=name):
        open_signer("hashivault://p256")
