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

from retinue.crypt.errors import RecipientUnusable
from retinue.crypt.keys import Opener, load_opener, load_recipient
from unit.crypt.world import ALICE, BOB


def public(key: object) -> bytes:
    spki = key.public_key().public_bytes(  # type: ignore[attr-defined]
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    return bytes(spki)


def private(key: Opener, password: bytes | None = None) -> bytes:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


@pytest.mark.parametrize("key", [ALICE, BOB], ids=["rsa", "ec"])
def test_keys_are_read(key: Opener) -> None:
    assert load_recipient(public(key), "k").public_numbers() == key.public_key().public_numbers()
    opened = load_opener(private(key, b"pw"), lambda: b"pw", "k")
    assert opened.private_numbers() == key.private_numbers()


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
        (b"", None, "no private key"),
        (public(BOB), None, "no private key"),
        (private(BOB, b"pw"), None, "no password"),
        (private(BOB, b"pw"), b"other", "does not open"),
    ],
    ids=range(4),
)
def test_openers_that_are_refused(pem: bytes, password: bytes | None, why: str) -> None:
    with pytest.raises(RecipientUnusable, match=why) as caught:
        load_opener(pem, None if password is None else lambda: password, "k")
    assert "other" not in str(caught.value)
