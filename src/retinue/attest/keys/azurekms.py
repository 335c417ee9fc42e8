"""Keys of Azure Key Vault: `azurekms://VAULT-HOST/KEY[/VERSION]`, as cosign names them.

https://learn.microsoft.com/rest/api/keyvault/keys. Credentials are those that azure-identity finds.
A reference without a version means the current one, which is pinned when the key is opened.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

from retinue.attest import base64
from retinue.attest.base64 import InvalidBase64
from retinue.attest.errors import KeyUnusable, SignerFailed
from retinue.attest.keys import remote, rest
from retinue.attest.keys.key import Algorithm, PublicKey, Signer
from retinue.attest.keys.public import wrap
from retinue.attest.keys.remote import RemoteSigner
from retinue.attest.keys.rest import Service

SCHEME = "azurekms://"
VERSION = "7.4"
_REFERENCE = re.compile(
    r"azurekms://(?P<vault>[A-Za-z0-9.-]+(?::\d+)?)/(?P<key>[A-Za-z0-9-]{1,127})(?:/(?P<version>[a-z0-9]*))?"
)
_KEY_ID = re.compile(r"https://[^/]+/keys/(?P<path>[A-Za-z0-9-]{1,127}/[a-z0-9]{1,64})")
_CLOUDS = (
    "vault.azure.net",
    "managedhsm.azure.net",
    "vault.azure.cn",
    "managedhsm.azure.cn",
    "vault.usgovcloudapi.net",
    "managedhsm.usgovcloudapi.net",
)
"""Whose hosts may see a token; a token for one of them is good for all of the user's vaults."""
_NAMES: Mapping[Algorithm, str] = {
    Algorithm.ECDSA_P256_SHA256: "ES256",
    Algorithm.ECDSA_P384_SHA384: "ES384",
    Algorithm.ECDSA_P521_SHA512: "ES512",
    Algorithm.RSA_PKCS1_SHA256: "RS256",
    Algorithm.RSA_PSS_SHA256: "PS256",
    Algorithm.RSA_PSS_SHA384: "PS384",
    Algorithm.RSA_PSS_SHA512: "PS512",
}


def open_signer(reference: str, password: Callable[[], bytes] | None) -> Signer:  # noqa: ARG001
    """Raises KeyUnusable, SignerFailed."""
    service, path, public = _open(reference)
    algorithm, offered = remote.algorithms(public)

    def send(algorithm: Algorithm, data: bytes) -> bytes:
        name = _NAMES[algorithm]
        body = {"alg": name, "value": urlsafe_b64encode(data).rstrip(b"=").decode()}
        answer = service.call("POST", f"/keys/{path}/sign?api-version={VERSION}", body)
        signature = _decoded(reference, answer.get("value"))
        return remote.der(signature) if name.startswith("ES") else signature

    return RemoteSigner(reference, public, algorithm, offered, send)


def open_public(reference: str) -> PublicKey:
    return _open(reference)[2]


def _open(reference: str) -> tuple[Service, str, PublicKey]:
    """The service, the key's `name/version` there, and the key."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise KeyUnusable(reference, f"must be {SCHEME}VAULT-HOST/KEY[/VERSION]")
    host = found["vault"].partition(":")[0].lower()
    cloud = next((each for each in _CLOUDS if host.endswith(f".{each}")), None)
    if cloud is None:
        raise KeyUnusable(reference, f"{host!r} is no host of {', '.join(_CLOUDS)}")
    headers = {"Authorization": f"Bearer {_token(reference, f'https://{cloud}/.default')}"}
    service = rest.open_service(reference, f"https://{found['vault']}", headers)
    path = "/".join(part for part in (found["key"], found["version"]) if part)
    key = service.call("GET", f"/keys/{path}?api-version={VERSION}").get("key")
    if type(key) is not dict:
        raise SignerFailed(reference, "answered without `key`")
    pinned = _KEY_ID.fullmatch(rest.text(reference, key, "kid"))
    if pinned is None:
        raise SignerFailed(reference, "answered a key whose `kid` cannot be read")
    return service, pinned["path"], _public(reference, key)


def _token(reference: str, scope: str) -> str:
    identity = remote.library(reference, "kms", "azure.identity")
    failures = remote.library(reference, "kms", "azure.core.exceptions")
    try:
        with identity.DefaultAzureCredential() as credential:
            return str(credential.get_token(scope).token)
    except failures.AzureError as error:
        raise SignerFailed(reference, f"no credentials: {str(error)[:300]}") from None


def _public(reference: str, key: Mapping[str, Any]) -> PublicKey:
    """A JSON Web Key (RFC 7518 section 6); kinds that end in -HSM are kept in hardware."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    curves: Mapping[object, ec.EllipticCurve] = {
        "P-256": ec.SECP256R1(),
        "P-384": ec.SECP384R1(),
        "P-521": ec.SECP521R1(),
    }
    kind = str(key.get("kty")).removesuffix("-HSM")
    try:
        if kind == "EC" and key.get("crv") in curves:
            x, y = _number(reference, key.get("x")), _number(reference, key.get("y"))
            point = ec.EllipticCurvePublicNumbers(x, y, curves[key["crv"]])
            return wrap(point.public_key(), reference)
        if kind == "RSA":
            e, n = _number(reference, key.get("e")), _number(reference, key.get("n"))
            return wrap(rsa.RSAPublicNumbers(e, n).public_key(), reference)
    except ValueError:
        raise KeyUnusable(reference, "has a public key that cannot be read") from None
    raise KeyUnusable(reference, f"is of the kind {kind!r:.40} {key.get('crv', '')!r:.40}")


def _number(reference: str, value: object) -> int:
    return int.from_bytes(_decoded(reference, value))


def _decoded(reference: str, value: object) -> bytes:
    try:
        return base64.decode(value)
    except InvalidBase64:
        raise SignerFailed(reference, "answered what is not base64") from None
