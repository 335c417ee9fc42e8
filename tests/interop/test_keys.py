"""A key in Vault, used by cosign and by us: the same protocol, the same key, each other's signatures."""

from base64 import b64decode, b64encode
from collections.abc import Iterator

import pytest

from interop.conftest import Tools
from retinue.attest.keys.table import open_public, open_signer
from unit.attest.keys import fakes
from unit.attest.keys.test_vault import TOKEN, answer

KEYS = ("hashivault://p256", "hashivault://rsa")


@pytest.fixture
def vault(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tools]:
    with fakes.serving(answer) as fake:
        there = {"VAULT_ADDR": f"http://127.0.0.1:{fake.port}", "VAULT_TOKEN": TOKEN}
        for name, value in there.items():
            monkeypatch.setenv(name, value)
        tools.environ = {**tools.environ, **there}
        (tools.home / "blob").write_text("hello\n")
        yield tools


@pytest.mark.parametrize("key", KEYS)
def test_cosign_sees_the_same_public_key(vault: Tools, key: str) -> None:
    assert vault.run("cosign3", "public-key", "--key", key).encode() == open_public(key).pem


@pytest.mark.parametrize("key", KEYS)
def test_what_cosign_signs_with_it_verifies(vault: Tools, key: str) -> None:
    sign = ("cosign2", "sign-blob", "--yes", "--tlog-upload=false", "--key", key, "blob")

    signature = b64decode(vault.run(*sign).strip())

    assert open_public(key).verify(signature, (b"hello\n",))


@pytest.mark.parametrize("key", KEYS)
def test_cosign_verifies_what_we_sign_with_it(vault: Tools, key: str) -> None:
    signature = open_signer(key).sign((b"hello\n",))
    (vault.home / "signature").write_bytes(b64encode(signature))
    (vault.home / "key.pub").write_bytes(open_public(key).pem)
    verify = ("cosign2", "verify-blob", "--insecure-ignore-tlog", "--key", "key.pub")

    vault.run(*verify, "--signature", "signature", "blob")
    (vault.home / "blob").write_text("another\n")
    vault.run(*verify, "--signature", "signature", "blob", fails=True)
