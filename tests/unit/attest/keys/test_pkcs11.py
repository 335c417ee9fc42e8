"""Keys in a token: SoftHSM 2, through its real module."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retinue.attest.errors import KeyUnusable
from retinue.attest.keys.key import Algorithm
from retinue.attest.keys.pkcs11 import read_uri
from retinue.attest.keys.pss import as_pss
from retinue.attest.keys.table import open_public, open_signer

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")
MODULE = next((path for path in MODULES if Path(path).exists()), None)
PIN = "1234"
MESSAGE = (b"a message ", b"in parts")

softhsm = pytest.mark.skipif(MODULE is None, reason="SoftHSM is not installed: softhsm2")


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A token `builders` with keys of each kind, two of one name, and the PIN set."""
    pytest.importorskip("pkcs11")
    assert MODULE is not None
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "conf"))
        patch.setenv("COSIGN_PKCS11_MODULE_PATH", MODULE)
        for label in ("builders", "locked"):
            subprocess.run(
                ["softhsm2-util", "--init-token", "--free", "--label", label,
                 "--pin", PIN, "--so-pin", "5678"],
                check=True, capture_output=True,
            )  # fmt: skip
        _fill()
        yield "pkcs11:token=builders"


def _fill() -> None:
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters

    library: Any = pkcs11
    found = library.lib(MODULE).get_token(token_label="builders")
    with found.open(user_pin=PIN, rw=True) as session:
        for number, (label, curve) in enumerate(
            [
                ("p256", "secp256r1"),
                ("p384", "secp384r1"),
                ("two", "secp256r1"),
                ("two", "secp256r1"),
            ]
        ):
            parameters = session.create_domain_parameters(
                library.KeyType.EC,
                {library.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)},
                local=True,
            )
            parameters.generate_keypair(label=label, id=bytes([number]), store=True)
        ed25519 = bytes.fromhex("130c656477617264733235353139")  # PrintableString, PKCS #11 3.0
        session.create_domain_parameters(
            library.KeyType.EC_EDWARDS, {library.Attribute.EC_PARAMS: ed25519}, local=True
        ).generate_keypair(
            mechanism=library.Mechanism.EC_EDWARDS_KEY_PAIR_GEN, label="ed", id=b"ed", store=True
        )
        session.generate_keypair(library.KeyType.RSA, 2048, label="rsa", id=b"rsa", store=True)


@pytest.fixture
def pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSIGN_PKCS11_PIN", PIN)


@softhsm
@pytest.mark.parametrize(
    "key", ["object=p256", "id=%00", "object=p384", "object=rsa;type=private", "object=ed"]
)
def test_what_a_token_signs_its_public_key_verifies(token: str, pin: None, key: str) -> None:
    signer = open_signer(f"{token};{key}")

    signature = signer.sign(MESSAGE)

    assert signer.public.verify(signature, MESSAGE)
    assert not signer.public.verify(signature, (b"another",))
    assert signer.public == open_public(f"{token};{key}")


@softhsm
def test_an_rsa_key_signs_with_pss_too(token: str, pin: None) -> None:
    from retinue.attest.formats.jwa import SCHEMES, load, verifies

    signer = as_pss(open_signer(f"{token};object=rsa"))
    key = load(signer.public.spki)
    assert key is not None

    assert signer.algorithm is Algorithm.RSA_PSS_SHA256
    assert verifies(SCHEMES["PS256"], key, signer.sign(MESSAGE), b"".join(MESSAGE))


@softhsm
def test_a_pin_may_come_from_a_file_or_be_asked_for(token: str, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(f"{PIN}\n")

    named = open_signer(f"{token};object=p256?pin-source=file:{tmp_path}/pin")
    asked = open_signer(f"{token};object=p256", PIN.encode)

    assert named.public == asked.public


@softhsm
@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("{};object=none", "no such"),
        ("{};object=two", "several"),
        ("pkcs11:token=other;object=p256", "0 tokens"),
        ("{};object=p256?module-path=/none.so", "/none.so"),
    ],
)
def test_keys_that_are_not_found(token: str, pin: None, uri: str, why: str) -> None:
    with pytest.raises(KeyUnusable, match=why):
        open_signer(uri.format(token))


@softhsm
def test_a_wrong_pin_is_told_without_saying_it(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSIGN_PKCS11_PIN", "wrong-pin")
    with pytest.raises(KeyUnusable, match="refuses the PIN") as caught:
        open_signer("pkcs11:token=locked;object=p256")
    assert "wrong-pin" not in str(caught.value)


@softhsm
def test_without_a_pin_it_is_asked_for_one(token: str) -> None:
    with pytest.raises(KeyUnusable, match="COSIGN_PKCS11_PIN"):
        open_signer(f"{token};object=p256")


def test_a_uri_is_read_as_its_specification_says() -> None:
    uri = read_uri("pkcs11:token=My%20Token;id=%69%95;object=k;x-a=b?module-path=/usr/lib/m.so")

    assert uri.named("token") == "My Token"
    assert uri.where["id"] == b"i\x95"
    assert uri.module == "/usr/lib/m.so"


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("pkcs11:token=a;object=k?pin-value=1234", "COSIGN_PKCS11_PIN"),
        ("pkcs11:token=a", "`object` or `id`"),
        ("pkcs11:object=a;object=b", "twice"),
        ("pkcs11:objekt=a", "not known"),
        ("pkcs11:object=%zz", "valid"),
        ("pkcs11:object=a?module-name=x", "not known"),
        ("pkcs11:object=" + "a" * 5000, "valid"),
    ],
)
def test_uris_that_name_no_key(uri: str, why: str) -> None:
    with pytest.raises(KeyUnusable, match=why) as caught:
        read_uri(uri)
    assert "1234" not in str(caught.value)
