"""JSON Web Encryption: every change is noticed, and go-jose's forms are read."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from retinue.crypt import jwe
from retinue.crypt.errors import MalformedOptions
from retinue.crypt.keys import Opener
from unit.crypt.world import ALICE, BOB, CAROL, MALLORY

SECRET = b'{"symkey":"..."}'
SEALED = jwe.encrypt(SECRET, [ALICE.public_key(), BOB.public_key(), CAROL.public_key()])


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("key", [ALICE, BOB, CAROL], ids=["rsa", "p256", "p521"])
def test_each_recipient_opens_it(key: Opener) -> None:
    assert jwe.decrypt(SEALED, [MALLORY, key]) == SECRET


def test_nobody_else_does() -> None:
    assert jwe.decrypt(SEALED, [MALLORY]) is None


@given(at=st.integers(0, len(SEALED) - 1), flip=st.integers(1, 255))
def test_a_changed_byte_never_yields_another_plaintext(at: int, flip: int) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= flip
    try:
        opened = jwe.decrypt(bytes(changed), [BOB])
    except MalformedOptions:
        return
    assert opened in {None, SECRET}


def test_the_flattened_form_of_one_recipient_with_its_algorithm_protected() -> None:
    """As go-jose writes it for a single recipient."""
    key, iv = bytes(range(32)), bytes(12)
    protected = b64(json.dumps({"alg": "RSA-OAEP-256", "enc": "A256GCM"}).encode())
    sealed = AESGCM(key).encrypt(iv, SECRET, protected.encode())
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    document = {
        "protected": protected,
        "encrypted_key": b64(ALICE.public_key().encrypt(key, oaep)),
        "iv": b64(iv),
        "ciphertext": b64(sealed[:-16]),
        "tag": b64(sealed[-16:]),
    }

    assert jwe.decrypt(json.dumps(document).encode(), [ALICE]) == SECRET


def test_key_agreement_is_that_of_the_specification() -> None:
    """RFC 7518, appendix C: the derived key, there for A128GCM with apu and apv."""
    alice = ec.derive_private_key(
        int.from_bytes(unb64("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo")), ec.SECP256R1()
    )
    bob = ec.derive_private_key(
        int.from_bytes(unb64("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw")), ec.SECP256R1()
    )
    secret = alice.exchange(ec.ECDH(), bob.public_key())
    info = b"".join(len(part).to_bytes(4) + part for part in (b"A128GCM", b"Alice", b"Bob")) + (
        128
    ).to_bytes(4)
    from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

    expected = unb64("VqqN6vgjbSBcIijNcacQGg")
    assert ConcatKDFHash(hashes.SHA256(), 16, info).derive(secret) == expected
    own = jwe._derive(secret, "ECDH-ES+A128KW", b"Alice", b"Bob")
    assert len(keywrap.aes_key_wrap(own, bytes(32))) == 40


@pytest.mark.parametrize(
    "change",
    [
        {"protected": b64(b'{"enc":"A256GCM","crit":["x"]}')},
        {"protected": b64(b'{"enc":"A256GCM","zip":"DEF"}')},
        {"protected": "!"},
        {"protected": None},
        {"recipients": []},
        {"recipients": [1]},
        {"recipients": [{"header": [], "encrypted_key": ""}]},
        {"iv": ""},
        {"tag": b64(bytes(15))},
        {"aad": ""},
        {"unprotected": []},
    ],
    ids=range(11),
)
def test_what_is_no_jwe_of_ours(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedOptions):
        jwe.decrypt(json.dumps(json.loads(SEALED) | change).encode(), [BOB])


@pytest.mark.parametrize("algorithm", ["RSA1_5", "dir", "A256KW", "PBES2-HS256+A128KW", None])
def test_algorithms_that_are_not_taken(algorithm: str | None) -> None:
    document = json.loads(SEALED)
    for recipient in document["recipients"]:
        recipient["header"]["alg"] = algorithm
    assert jwe.decrypt(json.dumps(document).encode(), [ALICE, BOB]) is None


def test_a_point_that_is_not_on_the_curve_opens_nothing() -> None:
    document = json.loads(SEALED)
    document["recipients"][1]["header"]["epk"]["y"] = b64(bytes(31) + b"\1")
    assert jwe.decrypt(json.dumps(document).encode(), [BOB]) is None


def test_the_number_of_recipients_is_bounded() -> None:
    with pytest.raises(MalformedOptions):
        jwe.encrypt(SECRET, [])
    with pytest.raises(MalformedOptions):
        jwe.encrypt(SECRET, [BOB.public_key()] * (jwe.MAX_RECIPIENTS + 1))
