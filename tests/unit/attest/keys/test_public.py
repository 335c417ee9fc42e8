import hashlib
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import (
    dsa,
    ec,
    ed448,
    ed25519,
    padding,
    rsa,
    x25519,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from retinue.attest.errors import KeyUnusable, Refused, SignerFailed
from retinue.attest.keys import private, public
from retinue.attest.keys.key import Algorithm
from retinue.attest.keys.message import Message, as_message
from retinue.attest.keys.private import wrap_private
from retinue.attest.keys.public import wrap, wrap_p256
from signing import ph_signature
from trust_vectors import private as signer_of

PARTS = (b"one ", b"message", b"")
OTHER = (b"another message",)

SHA = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("p256", Algorithm.ECDSA_P256_SHA256),
        ("p384", Algorithm.ECDSA_P384_SHA384),
        ("p521", Algorithm.ECDSA_P521_SHA512),
        ("rsa2048", Algorithm.RSA_PKCS1_SHA256),
        ("ed25519", Algorithm.ED25519),
    ],
)
def test_what_a_key_signs_its_public_half_verifies(name: str, algorithm: Algorithm) -> None:
    signer = signer_of(name)
    signature = signer.sign(iter(PARTS))
    assert signer.algorithm is algorithm
    assert signer.public.verify(signature, iter(PARTS))
    assert not signer.public.verify(signature, OTHER)
    assert not signer.public.verify(signature[:-1], PARTS)
    assert not signer.public.verify(b"", PARTS)
    assert not signer_of("stranger").public.verify(signature, PARTS)


@pytest.mark.parametrize("name", ["p256", "p384", "p521", "rsa2048", "ed25519"])
def test_the_same_message_gives_the_same_signature(name: str) -> None:
    assert signer_of(name).sign(PARTS) == signer_of(name).sign(PARTS)


@pytest.mark.parametrize(
    ("curve", "hash_name", "accepted"),
    [
        ("p256", "sha256", True),
        ("p256", "sha384", False),
        ("p384", "sha256", True),
        ("p384", "sha384", True),
        ("p384", "sha512", False),
        ("p521", "sha256", True),
        ("p521", "sha512", True),
        ("p521", "sha384", False),
    ],
)
def test_hashes_that_tools_use_with_a_curve(curve: str, hash_name: str, accepted: bool) -> None:
    key = ec.generate_private_key(CURVES[curve])
    signature = key.sign(b"".join(PARTS), ec.ECDSA(SHA[hash_name]))
    assert accepted == wrap(key.public_key(), "a key").verify(signature, PARTS)


@pytest.mark.parametrize("salt", [0, 32, padding.PSS.MAX_LENGTH])
def test_pss_is_read_with_any_salt(salt: int) -> None:
    signer = signer_of("rsa2048")
    assert isinstance(signer, private.RsaSigner)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
    signature = signer.key.sign(b"".join(PARTS), pss, hashes.SHA256())
    assert signer.public.verify(signature, PARTS)


def test_ed25519ph_is_read() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    read = wrap(key.public_key(), "a key")
    signature = ph_signature(key, b"".join(PARTS))
    assert read.verify(signature, PARTS)
    assert not read.verify(signature, OTHER)


def test_pure_ed25519_has_a_limit_that_ph_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "PURE_LIMIT", 8)
    monkeypatch.setattr(private, "PURE_LIMIT", 8)
    key = ed25519.Ed25519PrivateKey.generate()
    signer = wrap_private(key, "a key")
    with pytest.raises(Refused, match="more than 8 bytes"):
        signer.public.verify(key.sign(b"".join(PARTS)), PARTS)
    with pytest.raises(SignerFailed, match="8 bytes at most, not 11; use P-256"):
        signer.sign(PARTS)
    assert signer.public.verify(ph_signature(key, b"".join(PARTS)), PARTS)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (ec.generate_private_key(ec.SECP256K1()), "on the curve secp256k1"),
        (ec.generate_private_key(ec.SECP224R1()), "on the curve secp224r1"),
        (rsa.generate_private_key(65537, 1024), "RSA of 1024 bits"),
        (rsa.generate_private_key(3, 2048), "public exponent 3"),
        (dsa.generate_private_key(2048), "of the kind DSA"),
        (ed448.Ed448PrivateKey.generate(), "of the kind Ed448"),
        (x25519.X25519PrivateKey.generate(), "of the kind X25519"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_weak_and_foreign_keys_are_refused(
    key: private.Private | dsa.DSAPrivateKey, said: str
) -> None:
    with pytest.raises(KeyUnusable, match=said):
        wrap(key.public_key(), "k.pub")
    with pytest.raises(KeyUnusable, match=f"key k.key: is .*{said}"):
        wrap_private(key, "k.key")


def test_rsa_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "RSA_BITS", (1024, 1536))
    with pytest.raises(KeyUnusable, match="RSA of 2048 bits; 1024 to 1536 are accepted"):
        wrap(rsa.generate_private_key(65537, 2048).public_key(), "k.pub")


def test_a_key_says_what_it_is() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    found = wrap(key, "k.pub")
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    fingerprint = f"sha256:{hashlib.sha256(spki).hexdigest()}"
    assert (spki, fingerprint, pem) == (found.spki, found.fingerprint, found.pem)
    assert wrap(key, "elsewhere") == found


def test_no_private_key_shows_itself() -> None:
    signer = signer_of("p256")
    assert isinstance(signer, private.EcdsaSigner)
    number = signer.key.private_numbers().private_value
    shown = repr(signer)
    assert "key=" not in shown
    assert all(form.format(number) not in shown for form in ("{:d}", "{:x}"))


def test_a_message_is_hashed_once_for_all_keys() -> None:
    passes = []

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            passes.append(1)
            return iter(PARTS)

    message = Message(Parts())
    digest = hashlib.sha256(b"".join(PARTS)).digest()
    assert [digest] * 2 == [message.digest("sha256"), as_message(message).digest("sha256")]
    assert passes == [1]


def test_the_usual_kind_of_key_is_read_alike_by_both_readers() -> None:
    whole = signer_of("p256").public
    quick = wrap_p256(whole.spki)
    assert quick == whole
    assert quick is not None
    assert repr(whole) == repr(quick)
    assert quick.verify(signer_of("p256").sign(PARTS), PARTS)


@pytest.mark.parametrize("name", ["p384", "p521", "rsa2048", "ed25519"])
def test_other_kinds_are_left_to_the_general_reader(name: str) -> None:
    assert wrap_p256(signer_of(name).public.spki) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda spki: spki[:-1],
        lambda spki: spki + b"\0",
        lambda spki: spki[:-1] + bytes([spki[-1] ^ 1]),
        lambda spki: spki[:-64] + bytes(64),
        lambda spki: spki[:-65] + b"\x02" + spki[-64:],
    ],
    ids=["cut off", "too long", "not on the curve", "all zero", "says that it is compressed"],
)
def test_points_that_are_none_are_not_read(change: Callable[[bytes], bytes]) -> None:
    assert wrap_p256(change(signer_of("p256").public.spki)) is None
