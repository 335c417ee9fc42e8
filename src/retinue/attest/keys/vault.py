"""Keys of HashiCorp Vault's transit engine: `hashivault://NAME`, as cosign names them.

https://developer.hashicorp.com/vault/api-docs/secret/transit. The environment says where and who:
VAULT_ADDR, VAULT_TOKEN, TRANSIT_SECRET_ENGINE_PATH, VAULT_NAMESPACE, VAULT_CACERT.
"""

import os
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from typing import Any

from retinue.attest.errors import KeyUnusable, SignerFailed
from retinue.attest.keys import pem, remote, rest
from retinue.attest.keys.key import Algorithm, PublicKey, Signer
from retinue.attest.keys.public import wrap
from retinue.attest.keys.remote import RemoteSigner
from retinue.attest.keys.rest import Service

SCHEME = "hashivault://"
_NAME = re.compile(r"\w(?:[\w.-]*\w)?", re.ASCII)
_MOUNT = re.compile(r"[\w.-]+(?:/[\w.-]+)*", re.ASCII)
_SIGNATURE = re.compile(r"vault:v\d+:([A-Za-z0-9+/=]+)")


def open_signer(reference: str, password: Callable[[], bytes] | None) -> Signer:  # noqa: ARG001
    """The key's newest version, which later versions do not replace. Raises SignerFailed too."""
    name, service = _open(reference)
    version, public = _newest(reference, service, name)
    algorithm, offered = remote.algorithms(public)

    def send(algorithm: Algorithm, data: bytes) -> bytes:
        return _sign(service, name, version, algorithm, data)

    return RemoteSigner(reference, public, algorithm, offered, send)


def open_public(reference: str) -> PublicKey:
    name, service = _open(reference)
    return _newest(reference, service, name)[1]


def _open(reference: str) -> tuple[str, Service]:
    name = reference.removeprefix(SCHEME)
    if not _NAME.fullmatch(name):
        raise KeyUnusable(reference, f"must be {SCHEME}NAME")
    mount = os.environ.get("TRANSIT_SECRET_ENGINE_PATH") or "transit"
    if not _MOUNT.fullmatch(mount):
        raise KeyUnusable(reference, f"TRANSIT_SECRET_ENGINE_PATH={mount!r:.80} is no path")
    headers = {"X-Vault-Token": _required(reference, "VAULT_TOKEN"), "X-Vault-Request": "true"}
    if namespace := os.environ.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = namespace
    address = _required(reference, "VAULT_ADDR").rstrip("/")
    where = f"{address}/v1/{mount}"
    return name, rest.open_service(reference, where, headers, os.environ.get("VAULT_CACERT"))


def _required(reference: str, name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise KeyUnusable(reference, f"needs {name}, which the environment does not set")
    return value


def _newest(reference: str, service: Service, name: str) -> tuple[int, PublicKey]:
    data = service.call("GET", f"/keys/{name}").get("data")
    if type(data) is not dict or type(data.get("latest_version")) is not int:
        raise SignerFailed(reference, "answered without `data.latest_version`")
    version: int = data["latest_version"]
    stated = rest.text(reference, data, "keys", str(version), "public_key")
    if data.get("type") == "ed25519":  # raw bytes in base64; all others are PEM
        return version, _ed25519(reference, stated)
    return version, pem.load_public(stated.encode(), reference)


def _ed25519(reference: str, stated: str) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        return wrap(Ed25519PublicKey.from_public_bytes(b64decode(stated)), reference)
    except (ValueError, Base64Error):
        raise KeyUnusable(reference, "has a public key that cannot be read") from None


def _sign(service: Service, name: str, version: int, algorithm: Algorithm, data: bytes) -> bytes:
    hashed = remote.HASHES.get(algorithm)
    body: Mapping[str, Any] = {
        "input": b64encode(data).decode(),
        "prehashed": hashed is not None,
        "key_version": version,
        "signature_algorithm": "pss" if "-pss-" in algorithm else "pkcs1v15",
        "salt_length": "hash",
        "marshaling_algorithm": "asn1",
    }
    path = f"/sign/{name}" if hashed is None else f"/sign/{name}/sha2-{hashed[3:]}"
    found = _SIGNATURE.fullmatch(
        rest.text(service.name, service.call("POST", path, body), "data", "signature")
    )
    try:
        return b64decode(found[1], validate=True) if found else _unreadable(service)
    except Base64Error:
        return _unreadable(service)


def _unreadable(service: Service) -> bytes:
    raise SignerFailed(service.name, "answered a signature that cannot be read")
