"""Keys of Google Cloud KMS: `gcpkms://projects/…/cryptoKeys/KEY[/versions/V]`, as cosign names them.

https://cloud.google.com/kms/docs/reference/rest. Credentials are the application's default ones. A
reference without a version means the newest that is enabled. Another address (an emulator, a
private endpoint) is named as for gcloud: CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS.
"""

import os
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping

from retinue.attest.errors import KeyUnusable, SignerFailed
from retinue.attest.keys import pem, remote, rest
from retinue.attest.keys.key import Algorithm, PublicKey, Signer
from retinue.attest.keys.remote import RemoteSigner
from retinue.attest.keys.rest import Service

SCHEME = "gcpkms://"
ENDPOINT = "https://cloudkms.googleapis.com/"
_SCOPE = "https://www.googleapis.com/auth/cloudkms"
_PART = r"[A-Za-z0-9_.:-]+"
_REFERENCE = re.compile(
    rf"gcpkms://(?P<key>projects/{_PART}/locations/{_PART}/keyRings/{_PART}/cryptoKeys/{_PART})"
    r"(?:/(?:cryptoKeyVersions|versions)/(?P<version>[0-9]+))?"
)
_ALGORITHMS: Mapping[str, Algorithm] = {
    "EC_SIGN_P256_SHA256": Algorithm.ECDSA_P256_SHA256,
    "EC_SIGN_P384_SHA384": Algorithm.ECDSA_P384_SHA384,
    "RSA_SIGN_PKCS1_2048_SHA256": Algorithm.RSA_PKCS1_SHA256,
    "RSA_SIGN_PKCS1_3072_SHA256": Algorithm.RSA_PKCS1_SHA256,
    "RSA_SIGN_PKCS1_4096_SHA256": Algorithm.RSA_PKCS1_SHA256,
    "RSA_SIGN_PSS_2048_SHA256": Algorithm.RSA_PSS_SHA256,
    "RSA_SIGN_PSS_3072_SHA256": Algorithm.RSA_PSS_SHA256,
    "RSA_SIGN_PSS_4096_SHA256": Algorithm.RSA_PSS_SHA256,
    "RSA_SIGN_PSS_4096_SHA512": Algorithm.RSA_PSS_SHA512,
}
"""A version of a key has one algorithm, for good."""


def open_signer(reference: str, password: Callable[[], bytes] | None) -> Signer:  # noqa: ARG001
    """Raises KeyUnusable, SignerFailed."""
    service, version = _open(reference)
    public, algorithm = _public(reference, service, version)

    def send(algorithm: Algorithm, data: bytes) -> bytes:
        digest = {"digest": {remote.HASHES[algorithm]: b64encode(data).decode()}}
        answer = service.call("POST", f"/v1/{version}:asymmetricSign", digest)
        if answer.get("name") != version:
            raise SignerFailed(reference, f"signed with {answer.get('name')!r:.200}")
        return _decoded(reference, rest.text(reference, answer, "signature"))

    return RemoteSigner(reference, public, algorithm, frozenset({algorithm}), send)


def open_public(reference: str) -> PublicKey:
    service, version = _open(reference)
    return _public(reference, service, version)[0]


def _open(reference: str) -> tuple[Service, str]:
    """The service, and the resource name of the version that is meant."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        form = "projects/P/locations/L/keyRings/R/cryptoKeys/K[/versions/V]"
        raise KeyUnusable(reference, f"must be {SCHEME}{form}")
    endpoint = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS") or ENDPOINT
    headers = {"Authorization": f"Bearer {_token(reference)}"}
    service = rest.open_service(reference, endpoint, headers)
    if found["version"] is not None:
        return service, f"{found['key']}/cryptoKeyVersions/{found['version']}"
    return service, _newest(reference, service, found["key"])


def _token(reference: str) -> str:
    auth = remote.library(reference, "kms", "google.auth")
    transport = remote.library(reference, "kms", "google.auth.transport.requests")
    try:
        credentials, _ = auth.default(scopes=[_SCOPE])
        credentials.refresh(transport.Request())
    except auth.exceptions.GoogleAuthError as error:
        raise SignerFailed(reference, f"no credentials: {str(error)[:300]}") from None
    return str(credentials.token)


def _newest(reference: str, service: Service, key: str) -> str:
    query = "filter=state%3DENABLED&orderBy=name%20desc&pageSize=1"
    versions = service.call("GET", f"/v1/{key}/cryptoKeyVersions?{query}").get("cryptoKeyVersions")
    if type(versions) is not list or not versions or type(versions[0]) is not dict:
        raise KeyUnusable(reference, "has no version that is enabled")
    name = rest.text(reference, versions[0], "name")
    if not name.startswith(f"{key}/cryptoKeyVersions/"):
        raise SignerFailed(reference, f"answered the foreign version {name!r:.200}")
    return name


def _public(reference: str, service: Service, version: str) -> tuple[PublicKey, Algorithm]:
    answer = service.call("GET", f"/v1/{version}/publicKey")
    stated = rest.text(reference, answer, "algorithm")
    if stated not in _ALGORITHMS:
        raise KeyUnusable(reference, f"is of the kind {stated!r:.80}; use EC_SIGN_P256_SHA256")
    key = pem.load_public(rest.text(reference, answer, "pem").encode(), reference)
    return key, _ALGORITHMS[stated]


def _decoded(reference: str, text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except Base64Error:
        raise SignerFailed(reference, "answered a signature that cannot be read") from None
