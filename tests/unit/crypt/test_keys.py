"""Keys of those who may read: what is taken, and what is said of the rest."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from retinue.attest.errors import KeyUnusable
from retinue.attest.keys.generate import generate
from retinue.attest.keys.pem import open_private
from retinue.crypt.errors import RecipientUnusable
from retinue.crypt.keys import Opener, load_recipient, opener_of
from unit.crypt.world import ALICE, BOB


def public(key: object) -> bytes:
    spki = key.public_key().public_bytes(  # type: ignore[attr-defined]
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    return bytes(spki)


def private(key: Opener, password: bytes | None = None) -> bytes:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def pkcs8(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def opened_by(pem: bytes, password: bytes | None) -> Opener:
    key = open_private(pem, None if password is None else lambda: password, "k")
    return opener_of(key, "k")


@pytest.mark.parametrize("key", [ALICE, BOB], ids=["rsa", "ec"])
def test_keys_are_read(key: Opener) -> None:
    assert load_recipient(public(key), "k").public_numbers() == key.public_key().public_numbers()
    opened = opened_by(private(key, b"pw"), b"pw")
    assert opened.private_numbers() == key.private_numbers()


@pytest.mark.parametrize("password", [b"", b"pw"])
def test_keys_that_we_make_open_what_they_close(password: bytes) -> None:
    """They are sealed as cosign seals keys."""
    pair = generate(password=password)
    opened = opened_by(pair.private, password)
    assert load_recipient(pair.public, "k").public_numbers() == opened.public_key().public_numbers()
    with pytest.raises(KeyUnusable, match="does not open"):
        opened_by(pair.private, b"another")


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (b"", "no public key"),
        (private(BOB), "private key; give the public one"),
        (public(ed25519.Ed25519PrivateKey.generate()), "use RSA or P-256"),
        (public(ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
        (public(rsa.generate_private_key(65537, 1024)), "1024 bits"),
        (bytes(100_000), "more than"),
    ],
    ids=range(6),
)
def test_recipients_that_are_refused(pem: bytes, why: str) -> None:
    with pytest.raises(RecipientUnusable, match=why):
        load_recipient(pem, "k")


@pytest.mark.parametrize(
    ("pem", "password", "why"),
    [
        (b"", None, "is not PEM"),
        (public(BOB), None, "not a private key"),
        (pkcs8(ed25519.Ed25519PrivateKey.generate()), None, "use RSA or EC"),
        (private(BOB, b"pw"), None, "no password"),
        (private(BOB, b"pw"), b"other", "does not open"),
    ],
    ids=range(5),
)
def test_openers_that_are_refused(pem: bytes, password: bytes | None, why: str) -> None:
    with pytest.raises((RecipientUnusable, KeyUnusable), match=why) as caught:
        opened_by(pem, password)
    assert "other" not in str(caught.value)
