from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from retinue.attest.errors import KeyUnusable, WrongPassword
from retinue.attest.keys.pem import load_private, load_public

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()
SEC1 = PKCS1 = PrivateFormat.TraditionalOpenSSL
PKCS8 = PrivateFormat.PKCS8


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    form: PrivateFormat,
    password: bytes = b"",
) -> bytes:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, how)


def never() -> bytes:
    pytest.fail("nobody is to be asked for a password")


def given(password: bytes) -> Callable[[], bytes]:
    return lambda: password


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (pem(EC, SEC1), EC),
        (pem(EC, PKCS8), EC),
        (pem(RSA, PKCS1), RSA),
        (pem(RSA, PKCS8), RSA),
        (pem(ED, PKCS8), ED),
        (b"a comment\n" + pem(EC, PKCS8) + b"\nmore\n", EC),
        (b"-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n" + pem(EC, SEC1), EC),
    ],
    ids=["sec1", "ec pkcs8", "pkcs1", "rsa pkcs8", "ed25519 pkcs8", "comments", "openssl"],
)
def test_private_keys(
    content: bytes, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
) -> None:
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert spki == load_private(content, never, "k").public.spki


@pytest.mark.parametrize("content", [pem(EC, SEC1, b"pw"), pem(RSA, PKCS8, b"pw")])
def test_encrypted_private_keys(content: bytes) -> None:
    load_private(content, given(b"pw"), "k")
    with pytest.raises(WrongPassword, match="key k: the password does not open it"):
        load_private(content, given(b"no"), "k")
    with pytest.raises(WrongPassword, match="is encrypted, and no password was given"):
        load_private(content, None, "k")


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_public_keys(form: PublicFormat) -> None:
    content = RSA.public_key().public_bytes(Encoding.PEM, form)
    spki = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert spki == load_public(content).spki


PUBLIC = EC.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not PEM"),
        (b"\x00\x01", "is not PEM"),
        (PUBLIC[:-20], "is cut off: 'PUBLIC KEY' has no end"),
        (PUBLIC.replace(b"-----END PUBLIC", b"-----END PRIVATE"), "is cut off"),
        (PUBLIC[:60] + PUBLIC[64:], "does not hold a public key of a known kind"),
        (PUBLIC + PUBLIC, "holds 2 PEM blocks; one key is expected"),
        (pem(EC, PKCS8), "holds a private key; give a public key"),
        (PUBLIC.replace(b"PUBLIC KEY", b"CERTIFICATE"), "holds 'CERTIFICATE', not a public key"),
        (b"x" * 70_000, "70000 bytes are more than the 65536"),
        (
            x25519.X25519PrivateKey.generate()
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "of the kind X25519",
        ),
    ],
)
def test_what_is_no_public_key_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(KeyUnusable, match=said):
        load_public(content, "k.pub")


PRIVATE = pem(EC, PKCS8)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PRIVATE[:-20], "is cut off: 'PRIVATE KEY' has no end"),
        (PRIVATE[:60] + PRIVATE[64:], "does not hold a private key of a known kind"),
        (PUBLIC, "holds 'PUBLIC KEY', not a private key"),
        (ED.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), "ssh-keygen"),
        (PRIVATE.replace(b"PRIVATE KEY", b"ENCRYPTED SIGSTORE PRIVATE KEY"), "is damaged"),
        (
            PUBLIC[:27].replace(b"PUBLIC", b"ENCRYPTED COSIGN PRIVATE")
            + b"*"
            + PUBLIC[-25:].replace(b"PUBLIC", b"ENCRYPTED COSIGN PRIVATE"),
            "not base64 inside",
        ),
    ],
)
def test_what_is_no_private_key_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(KeyUnusable, match=said):
        load_private(content, given(b""), "k.key")


def test_no_error_shows_key_material() -> None:
    with pytest.raises(KeyUnusable) as caught:
        load_private(PRIVATE[:60] + PRIVATE[64:], None, "k.key")
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert PRIVATE[30:50].decode() not in str(caught.value)
