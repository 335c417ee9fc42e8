import base64
import hashlib
import json
from typing import Any

import pytest

from retinue.attest.errors import KeyUnusable, WrongPassword
from retinue.attest.keys import cosign
from retinue.attest.keys.generate import KINDS, generate, take
from retinue.attest.keys.pem import load_private, load_public
from trust_vectors import FOLDER, public

PASSWORDS: dict[str, str] = json.loads((FOLDER / "keys" / "passwords.json").read_text())


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """scrypt takes a tenth of a second: only keys that cosign wrote need the real one."""

    def stretch(password: bytes, salt: bytes, _: int) -> bytes:
        return hashlib.sha256(salt + password).digest()

    monkeypatch.setattr(cosign, "_stretch", stretch)


def sealed(**changes: Any) -> bytes:
    """The JSON of a sealed key, with changes by JSON path."""
    pem = cosign.seal(b"secret", b"pw", lambda size: b"\x07" * size)
    document = json.loads(base64.b64decode(b"".join(pem.split(b"\n")[1:-2])))
    for path, value in changes.items():
        *way, last = path.split("__")
        place = document
        for name in way:
            place = place[name]
        place[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize("name", ["p256", "rsa2048"])
def test_keys_that_cosign_wrote_are_read(name: str) -> None:
    content = (FOLDER / "keys" / f"{name}.key").read_bytes()
    signer = load_private(content, PASSWORDS[name].encode, name)
    assert public(name) == signer.public


@pytest.mark.parametrize("cost", [32768, 65536, 131072])
def test_all_costs_that_go_accepts(cost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosign, "COST", cost)
    assert cosign.unseal(sealed(), b"pw", "k") == b"secret"


@pytest.mark.usefixtures("cheap")
def test_a_sealed_key_is_written_as_cosign_writes_it() -> None:
    pem = cosign.seal(b"secret", b"pw", lambda size: b"\x07" * size)
    lines = pem.split(b"\n")
    body = base64.b64decode(b"".join(lines[1:-2]))
    assert lines[0] == b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"
    assert lines[-2:] == [b"-----END ENCRYPTED SIGSTORE PRIVATE KEY-----", b""]
    assert max(map(len, lines[1:-2])) == 64
    assert body.startswith(
        b'{"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="},'
        b'"cipher":{"name":"nacl/secretbox","nonce":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH"},"ciphertext":"'
    )


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("label", cosign.LABELS)
def test_both_labels_are_read(label: str) -> None:
    pair = generate("p256", b"pw")
    content = pair.private.replace(cosign.LABELS[0].encode(), label.encode())
    assert pair.public == load_private(content, lambda: b"pw", "k").public.pem


@pytest.mark.usefixtures("cheap")
def test_an_empty_password_is_legal() -> None:
    pair = generate("p256")
    assert pair.public == load_private(pair.private, lambda: b"", "k").public.pem


@pytest.mark.usefixtures("cheap")
def test_a_wrong_password_is_told() -> None:
    with pytest.raises(WrongPassword, match="key k: the password does not open it"):
        load_private(generate("p256", b"pw").private, lambda: b"no", "k")


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kdf__params__N": 1 << 30}, "asks for scrypt with"),
        ({"kdf__params__N": 65536.5}, "asks for scrypt with"),
        ({"kdf__params__r": 16}, "asks for scrypt with"),
        ({"kdf__params__p": 2}, "asks for scrypt with"),
        ({"kdf__name": "argon2"}, "sealed by 'argon2'"),
        ({"cipher__name": "aes"}, "and 'aes'"),
        ({"cipher__nonce": "AAAA"}, "a nonce of 3 bytes, not 24"),
        ({"cipher__nonce": None}, "is damaged"),
        ({"kdf__salt": "*"}, "is damaged"),
        ({"kdf": None}, "is damaged"),
        ({"kdf__params": []}, "is damaged"),
        ({"ciphertext": 1}, "is damaged"),
    ],
)
def test_what_go_would_not_open_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(KeyUnusable, match=said):
        cosign.unseal(sealed(**changes), b"pw", "k")


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("ciphertext", ["", "AAAA"])
def test_a_ciphertext_that_is_cut_off_is_not_opened(ciphertext: str) -> None:
    with pytest.raises(WrongPassword):
        cosign.unseal(sealed(ciphertext=ciphertext), b"pw", "k")


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff"])
def test_what_is_no_sealed_key_is_refused(text: bytes) -> None:
    with pytest.raises(KeyUnusable, match="is damaged: not the JSON of an encrypted key"):
        cosign.unseal(text, b"pw", "k")


@pytest.mark.usefixtures("cheap")
def test_what_is_sealed_and_no_key_is_refused() -> None:
    pem = cosign.seal(b"no key", b"pw")
    with pytest.raises(KeyUnusable, match="does not hold a private key in PKCS #8"):
        load_private(pem, lambda: b"pw", "k")


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"rsa3072", "rsa4096"}])
def test_generated_pairs_belong_together(kind: str) -> None:
    pair = generate(kind, b"pw")
    signer = load_private(pair.private, lambda: b"pw", "k")
    assert load_public(pair.public) == signer.public
    assert pair.fingerprint == signer.public.fingerprint


@pytest.mark.usefixtures("cheap")
def test_another_kind_is_not_generated() -> None:
    with pytest.raises(KeyUnusable, match=r"key dsa: is not a kind .* choose of p256"):
        generate("dsa")


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("name", ["p256", "p384", "rsa2048", "ed25519"])
def test_keys_from_elsewhere_are_taken_over(name: str) -> None:
    plain = (FOLDER / "keys" / f"{name}.pem").read_bytes()
    pair = take(plain, b"new", name)
    assert public(name) == load_private(pair.private, lambda: b"new", name).public


@pytest.mark.usefixtures("cheap")
def test_an_encrypted_key_is_taken_over_with_another_password() -> None:
    old = generate("p256", b"old")
    new = take(old.private, b"new", "k", opened_by=lambda: b"old")
    assert old.public == load_private(new.private, lambda: b"new", "k").public.pem


@pytest.mark.usefixtures("cheap")
def test_no_pair_shows_its_private_half() -> None:
    assert "PRIVATE" not in repr(generate("p256"))
