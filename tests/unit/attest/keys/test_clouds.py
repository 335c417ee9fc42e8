"""Three clouds' key services: real client code against their protocols on loopback."""

import datetime as dt
import json
import socket
import ssl
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from retinue.attest.errors import KeyUnusable, SignerFailed
from retinue.attest.keys.pss import as_pss
from retinue.attest.keys.table import open_public, open_signer
from unit.attest.keys import fakes
from unit.attest.keys.fakes import P256, RSA, Asked, Fake

MESSAGE = (b"a message ", b"in parts")
UUID = "12345678-1234-1234-1234-123456789012"
RING = "projects/p/locations/global/keyRings/r/cryptoKeys"
GCP_KEYS: dict[str, tuple[Any, str]] = {
    "p256": (P256, "EC_SIGN_P256_SHA256"),
    "rsa": (RSA, "RSA_SIGN_PKCS1_2048_SHA256"),
    "pss": (RSA, "RSA_SIGN_PSS_2048_SHA256"),
}
AWS_KEYS = {UUID: P256, "alias/rsa": RSA, f"arn:aws:kms:eu-west-1:123456789012:key/{UUID}": P256}


def aws_answer(asked: Asked) -> tuple[int, Any]:
    """https://docs.aws.amazon.com/kms/latest/APIReference, JSON 1.1."""
    body = asked.body
    assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
    key = AWS_KEYS.get(body["KeyId"])
    if key is None:
        return 400, {"__type": "NotFoundException", "message": f"Alias {body['KeyId']} not found"}
    if asked.headers["x-amz-target"] == "TrentService.GetPublicKey":
        der = b64encode(fakes.public(key, Encoding.DER)).decode()
        return 200, {"KeyId": UUID, "PublicKey": der, "KeyUsage": "SIGN_VERIFY"}
    assert asked.headers["x-amz-target"] == "TrentService.Sign"
    assert body["MessageType"] == "DIGEST"
    pss = "PSS" in body["SigningAlgorithm"]
    signature = fakes.sign(key, b64decode(body["Message"]), pss=pss)
    return 200, {"KeyId": UUID, "Signature": b64encode(signature).decode()}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Fake]:
    pytest.importorskip("boto3")
    with fakes.serving(aws_answer) as fake:
        for name, value in {
            "AWS_ENDPOINT_URL_KMS": f"http://127.0.0.1:{fake.port}",
            "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-central-1", "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield fake


@pytest.mark.parametrize("key", AWS_KEYS)
def test_aws_signs(aws: Fake, key: str) -> None:
    signer = open_signer(f"awskms:///{key}")

    assert signer.public.verify(signer.sign(MESSAGE), MESSAGE)
    assert signer.public == open_public(f"awskms:///{key}")
    if key.startswith("arn:"):
        assert "/eu-west-1/kms/" in aws.asked[-1].headers["authorization"]


def test_aws_signs_with_pss(aws: Fake) -> None:
    signer = as_pss(open_signer("awskms:///alias/rsa"))

    assert signer.public.verify(signer.sign(MESSAGE), MESSAGE)
    assert aws.asked[-1].body["SigningAlgorithm"] == "RSASSA_PSS_SHA_256"


def test_aws_refuses(aws: Fake) -> None:
    with pytest.raises(SignerFailed, match="NotFoundException"):
        open_signer("awskms:///alias/none")


def test_aws_endpoints_are_reached_over_tls(aws: Fake) -> None:
    from retinue.attest.keys.awskms import _open

    assert _open(f"awskms://localhost:4566/{UUID}")[0].meta.endpoint_url == "https://localhost:4566"


def gcp_answer(asked: Asked) -> tuple[int, Any]:
    """https://cloud.google.com/kms/docs/reference/rest, and the token endpoint of OAuth 2."""
    if asked.path == "/token":
        return 200, {"access_token": "ya29.token", "expires_in": 3600, "token_type": "Bearer"}
    if asked.headers.get("authorization") != "Bearer ya29.token":
        return 401, {"error": {"code": 401, "message": "no credentials", "status": "UNAUTH"}}
    path = asked.path.removeprefix("/v1/")
    name = path.removeprefix(RING + "/").partition("/")[0]
    if name not in GCP_KEYS:
        return 404, {"error": {"code": 404, "message": f"{name} not found", "status": "NOT_FOUND"}}
    key, algorithm = GCP_KEYS[name]
    version = f"{RING}/{name}/cryptoKeyVersions/3"
    if path.startswith(f"{RING}/{name}/cryptoKeyVersions?"):
        return 200, {"cryptoKeyVersions": [{"name": version, "state": "ENABLED"}]}
    if path == f"{version}/publicKey":
        return 200, {"pem": fakes.public(key).decode(), "algorithm": algorithm, "name": version}
    assert path == f"{version}:asymmetricSign"
    digest = b64decode(asked.body["digest"]["sha256"])
    signature = fakes.sign(key, digest, pss="PSS" in algorithm)
    return 200, {"name": version, "signature": b64encode(signature).decode()}


@pytest.fixture
def gcp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Fake]:
    pytest.importorskip("google.auth")
    with fakes.serving(gcp_answer) as fake:
        host = f"http://127.0.0.1:{fake.port}"
        pem = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        account = {
            "type": "service_account", "project_id": "p", "private_key_id": "1",
            "private_key": pem, "client_email": "ci@p.example", "token_uri": f"{host}/token",
        }  # fmt: skip
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", f"{host}/")
        yield fake


@pytest.mark.parametrize("key", ["p256", "rsa/versions/3", "pss/cryptoKeyVersions/3"])
def test_gcp_signs(gcp: Fake, key: str) -> None:
    signer = open_signer(f"gcpkms://{RING}/{key}")

    assert signer.public.verify(signer.sign(MESSAGE), MESSAGE)


def test_gcp_refuses(gcp: Fake) -> None:
    with pytest.raises(SignerFailed, match="404: none not found"):
        open_public(f"gcpkms://{RING}/none")


def test_gcp_keys_have_one_algorithm(gcp: Fake) -> None:
    with pytest.raises(KeyUnusable, match="not offered"):
        as_pss(open_signer(f"gcpkms://{RING}/rsa"))


def azure_answer(asked: Asked) -> tuple[int, Any]:
    """https://learn.microsoft.com/rest/api/keyvault/keys."""
    if asked.headers.get("authorization") != "Bearer azure-token":
        return 401, {"error": {"code": "Unauthorized", "message": "AKV10000: no token"}}
    path, _, query = asked.path.partition("?")
    assert query == "api-version=7.4"
    _, keys, name, *rest = path.split("/")
    assert keys == "keys"
    if name not in {"p256", "rsa"}:
        return 404, {"error": {"code": "KeyNotFound", "message": f"{name} was not found"}}
    kid = f"https://test.vault.azure.net/keys/{name}/abc123"
    if asked.method == "GET":
        return 200, {"key": {"kid": kid, **_jwk(name)}, "attributes": {"enabled": True}}
    assert rest == ["abc123", "sign"]
    digest = _plain(asked.body["value"])
    if name == "rsa":
        signature = fakes.sign(RSA, digest, pss=asked.body["alg"].startswith("PS"))
    else:
        r, s = decode_dss_signature(fakes.sign(P256, digest))
        signature = r.to_bytes(32) + s.to_bytes(32)
    return 200, {"kid": kid, "value": _url(signature)}


def _url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _plain(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _jwk(name: str) -> dict[str, str]:
    if name == "rsa":
        numbers = RSA.public_key().public_numbers()
        n = _url(numbers.n.to_bytes(256))
        return {"kty": "RSA-HSM", "n": n, "e": _url(numbers.e.to_bytes(3))}
    point = P256.public_key().public_numbers()
    x, y = _url(point.x.to_bytes(32)), _url(point.y.to_bytes(32))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Fake]:
    """A vault behind TLS with a name of Azure's, and the token endpoint of a managed identity."""
    pytest.importorskip("azure.identity")
    token = {
        "access_token": "azure-token",
        "expires_on": "4102444800",
        "resource": "",
        "token_type": "Bearer",
    }
    with (
        fakes.serving(azure_answer, _tls(tmp_path)) as fake,
        fakes.serving(lambda _: (200, token)) as msi,
    ):
        for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{msi.port}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.pem"))
        monkeypatch.setattr(socket, "getaddrinfo", _resolving(socket.getaddrinfo))
        yield fake


def _resolving(real: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(host: Any, *args: Any, **options: Any) -> Any:
        named = host == "test.vault.azure.net"
        return real("127.0.0.1" if named else host, *args, **options)

    return resolve


def _tls(folder: Path) -> ssl.SSLContext:
    name = x509.Name.from_rfc4514_string("CN=test.vault.azure.net")
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(P256.public_key()).serial_number(1)
        .not_valid_before(start).not_valid_after(start + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("test.vault.azure.net")]), critical=False)
        .sign(P256, hashes.SHA256())
    )  # fmt: skip
    key = P256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "tls.pem").write_bytes(certificate.public_bytes(Encoding.PEM) + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.pem")
    return context


@pytest.mark.parametrize("key", ["p256", "rsa", "p256/abc123"])
def test_azure_signs(azure: Fake, key: str) -> None:
    reference = f"azurekms://test.vault.azure.net:{azure.port}/{key}"

    signer = open_signer(reference)

    assert signer.public.verify(signer.sign(MESSAGE), MESSAGE)
    assert signer.public == open_public(reference)


def test_azure_signs_with_pss(azure: Fake) -> None:
    signer = as_pss(open_signer(f"azurekms://test.vault.azure.net:{azure.port}/rsa"))

    assert signer.public.verify(signer.sign(MESSAGE), MESSAGE)
    assert azure.asked[-1].body["alg"] == "PS256"


def test_azure_refuses(azure: Fake) -> None:
    with pytest.raises(SignerFailed, match="404: none was not found"):
        open_signer(f"azurekms://test.vault.azure.net:{azure.port}/none")


@pytest.mark.parametrize(
    "reference",
    [
        "awskms://",
        "awskms:///not-an-id",
        f"awskms://{UUID}",
        "gcpkms://projects/p/cryptoKeys/k",
        f"gcpkms://{RING}/k/versions/latest",
        "azurekms://vault",
        "azurekms://attacker.example/key",  # a token of Azure's would go there
        "azurekms://vault.azure.net.attacker.example/key",
    ],
)
def test_references_that_name_no_key(reference: str) -> None:
    with pytest.raises(KeyUnusable):
        open_signer(reference)


@pytest.mark.parametrize(
    ("reference", "module", "extra"),
    [
        (f"awskms:///{UUID}", "boto3", "kms"),
        (f"gcpkms://{RING}/k", "google.auth", "kms"),
        ("azurekms://test.vault.azure.net/k", "azure.identity", "kms"),
        ("pkcs11:object=k", "pkcs11", "pkcs11"),
    ],
)
def test_a_missing_library_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, reference: str, module: str, extra: str
) -> None:
    from retinue.attest.keys import remote

    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(remote, "import_module", absent)
    with pytest.raises(KeyUnusable, match=rf"{module}.*retinue\[{extra}\]"):
        open_public(reference)
