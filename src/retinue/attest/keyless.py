"""Signing without a key of one's own: a certificate of some minutes for an identity token, a
timestamp, a log entry, and what they say in a bundle.

Everything that a service answers is verified against the trusted root before it is kept: a bundle
that is written verifies. https://github.com/sigstore/architecture-docs/blob/main/client-spec.md
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from retinue.attest.base64 import InvalidBase64, decode
from retinue.attest.errors import EvidenceError, Malformed, SignerFailed
from retinue.attest.formats import dsse
from retinue.attest.logentry import Hashes
from retinue.attest.posting import Post, post
from retinue.attest.proof import TrustedTime
from retinue.attest.services import LogService, Services
from retinue.attest.statement import read_statement
from retinue.attest.timestamp import request, verify_timestamp
from retinue.attest.tlog import read_entry, verify_entry
from retinue.oci import names
from retinue.strictjson import InvalidJson, loads

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

Json = Mapping[str, Any]

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_QUERY = {"Content-Type": "application/timestamp-query"}
_DETAILS = "PKIX_ECDSA_P256_SHA_256"


@dataclass(frozen=True, slots=True)
class _Signed:
    """A statement under a signature by the key of `leaf` (DER)."""

    statement: bytes
    signature: bytes
    leaf: bytes

    @property
    def hashes(self) -> Hashes:
        return Hashes(dsse.pae(names.IN_TOTO, self.statement), self.statement)

    def envelope(self) -> dict[str, Any]:
        return dsse.to_json(names.IN_TOTO, self.statement, self.signature)


def sign_keyless(
    statement: bytes, token: str, services: Services, now: datetime, *, send: Post = post
) -> bytes:
    """A bundle 0.3 around these bytes, signed by whom the identity token names.

    `now` says which certificate counts as valid where no service tells the time. Raises Malformed
    for what is no statement, and SignerFailed naming the service that is to blame.
    """
    read_statement(statement)
    if not services.stamps and all(log.version != 1 for log in services.logs):
        reason = "its config has neither a timestamp authority nor a log that tells the time"
        raise SignerFailed(services.authority, reason)
    if services.root.logs and not services.logs:
        reason = (
            "its config names no log that is in force, and its root wants one to hold signatures"
        )
        raise SignerFailed(services.authority, reason)
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    chain = _certify(key, token, services, send)
    message = b"".join(dsse.pae(names.IN_TOTO, statement))
    signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
    signed = _Signed(statement, signature, chain[0].public_bytes(serialization.Encoding.DER))
    stamps, times = _stamp(signed, services, send)
    entries = []
    for log in services.logs:
        entry, integrated = _log(signed, log, services, times, send)
        entries.append(entry)
        times += [integrated] if integrated is not None else []
    _check(chain, services, [time.at for time in times] or [now])
    return _bundle(signed, entries, stamps)


def _certify(
    key: "EllipticCurvePrivateKey", token: str, services: Services, send: Post
) -> Sequence["Certificate"]:
    """The certificates that the authority answers, the leaf first."""
    from ssl import PEM_cert_to_DER_cert

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    from retinue.attest.certificate import load_certificate

    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    pem = csr.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    body = {"certificateSigningRequest": b64encode(pem).decode()}
    url = f"{services.authority}/api/v2/signingCert"
    headers = {**_JSON, "Authorization": f"Bearer {token}"}
    answer = _answer(url, send(url, json.dumps(body).encode(), headers))
    try:
        texts = answer["signedCertificateEmbeddedSct"]["chain"]["certificates"]
        chain = [load_certificate(PEM_cert_to_DER_cert(text), "certificate") for text in texts]
    except (KeyError, TypeError, ValueError, AttributeError, Malformed):
        raise SignerFailed(url, "it answered without certificates that show a log") from None
    if not chain or chain[0].public_key() != key.public_key():
        raise SignerFailed(url, "it answered with the certificate of another key")
    return chain


def _stamp(
    signed: _Signed, services: Services, send: Post
) -> tuple[list[bytes], list[TrustedTime]]:
    stamps, times = [], []
    for url in services.stamps:
        token = send(url, request(signed.signature), _QUERY)
        try:
            times.append(verify_timestamp(token, signed.signature, (), (services.root,)))
        except EvidenceError as error:
            raise SignerFailed(url, f"its answer does not verify: {error}") from error
        stamps.append(token)
    return stamps, times


def _log(
    signed: _Signed, log: LogService, services: Services, times: Sequence[TrustedTime], send: Post
) -> tuple[Json, TrustedTime | None]:
    """The entry as bundles have it, and the time that it tells."""
    write = _log_1 if log.version == 1 else _log_2
    entry = write(signed, log.url, send)
    try:
        proof = verify_entry(
            read_entry(entry),
            (services.root,),
            key_or_cert=signed.leaf,
            signature=signed.signature,
            artifact_hashes=signed.hashes,
            times=times,
        )
    except EvidenceError as error:
        raise SignerFailed(log.url, f"its answer does not verify: {error}") from error
    if not proof.included:
        raise SignerFailed(log.url, "it answered without an inclusion proof")
    return entry, proof.integrated


def _log_1(signed: _Signed, base: str, send: Post) -> Json:
    content = {"envelope": json.dumps(signed.envelope()), "verifiers": [_text(_pem(signed.leaf))]}
    proposed = {"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}}
    url = f"{base}/api/v1/log/entries"
    answer = _answer(url, send(url, json.dumps(proposed).encode(), _JSON))
    try:
        (found,) = answer.values()
        return from_version_1(found)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidBase64):
        raise SignerFailed(url, "it answered with something else than one entry") from None


def from_version_1(found: Json) -> Json:
    """A TransparencyLogEntry of what Rekor's first version answers.

    Raises KeyError, TypeError or ValueError for what is not such an answer.
    """
    body = loads(decode(found["body"]))
    proof = found["verification"]["inclusionProof"]
    return {
        "logIndex": str(found["logIndex"]),
        "logId": {"keyId": _text(bytes.fromhex(found["logID"]))},
        "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
        "integratedTime": str(found["integratedTime"]),
        "inclusionPromise": {"signedEntryTimestamp": found["verification"]["signedEntryTimestamp"]},
        "inclusionProof": {
            "logIndex": str(proof["logIndex"]),
            "rootHash": _text(bytes.fromhex(proof["rootHash"])),
            "treeSize": str(proof["treeSize"]),
            "hashes": [_text(bytes.fromhex(each)) for each in proof["hashes"]],
            "checkpoint": {"envelope": proof["checkpoint"]},
        },
        "canonicalizedBody": found["body"],
    }


def _log_2(signed: _Signed, base: str, send: Post) -> Json:
    """The second version keeps a hash of what was signed, whatever it is."""
    digest = hashlib.sha256(b"".join(dsse.pae(names.IN_TOTO, signed.statement))).digest()
    certificate = {"rawBytes": _text(signed.leaf)}
    verifier = {"keyDetails": _DETAILS, "x509Certificate": certificate}
    wanted = {
        "signature": {"content": _text(signed.signature), "verifier": verifier},
        "digest": _text(digest),
    }
    url = f"{base}/api/v2/log/entries"
    body = json.dumps({"hashedRekordRequestV002": wanted}).encode()
    return _answer(url, send(url, body, _JSON))


def _check(chain: Sequence["Certificate"], services: Services, times: Sequence[datetime]) -> None:
    from retinue.attest.certificates import identity, verify_chain

    try:
        identity(chain[0])
        for at in times:
            verify_chain(chain[0], chain[1:], services.root, at)
    except EvidenceError as error:
        reason = f"its answer does not verify: {error}"
        raise SignerFailed(services.authority, reason) from error


def _bundle(signed: _Signed, entries: Sequence[Json], stamps: Sequence[bytes]) -> bytes:
    material: dict[str, Any] = {"certificate": {"rawBytes": _text(signed.leaf)}}
    if entries:
        material["tlogEntries"] = entries
    if stamps:
        tokens = [{"signedTimestamp": _text(token)} for token in stamps]
        material["timestampVerificationData"] = {"rfc3161Timestamps": tokens}
    document = {
        "mediaType": names.BUNDLE,
        "verificationMaterial": material,
        "dsseEnvelope": signed.envelope(),
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _answer(url: str, raw: bytes) -> dict[str, Any]:
    try:
        value = loads(raw, max_bytes=len(raw))
    except InvalidJson as error:
        raise SignerFailed(url, f"it answered no JSON: {error}") from None
    if not isinstance(value, dict):
        raise SignerFailed(url, "it answered JSON that is not an object")
    return value


def _pem(der: bytes) -> bytes:
    from ssl import DER_cert_to_PEM_cert

    return DER_cert_to_PEM_cert(der).encode()


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()


def public_services(now: datetime, *, offline: bool = False) -> Services:
    """Sigstore's public instance, whose root is updated by TUF. Needs the extra `keyless`.

    `offline` takes what is cached, or came with the package. Raises SignerFailed, RootInvalid.
    """
    from retinue.attest.services import read_client_config

    sigstore = _extra("sigstore.models")
    errors = _extra("sigstore.errors")
    try:
        config = sigstore.ClientTrustConfig.production(offline=offline)
    except errors.Error as error:
        raise SignerFailed("sigstore.dev", f"its trusted root: {error}") from error
    return read_client_config(config._inner.to_json().encode(), now)  # noqa: SLF001


def ambient_token() -> str | None:
    """The identity token of the machine this runs on (a CI job); None where it has none.

    Needs the extra `keyless`. Raises SignerFailed.
    """
    oidc = _extra("sigstore.oidc")
    try:
        found: str | None = oidc.detect_credential()
    except oidc.IdentityError as error:
        raise SignerFailed("the identity of this machine", str(error)) from error
    return found


def interactive_token(issuer: str) -> str:
    """A token after a login in the browser. Needs the extra `keyless`. Raises SignerFailed."""
    oidc = _extra("sigstore.oidc")
    errors = _extra("sigstore.errors")
    try:
        return str(oidc.Issuer(issuer).identity_token())
    except (oidc.IssuerError, oidc.IdentityError, errors.Error) as error:
        raise SignerFailed(issuer, f"no identity token: {error}") from error


def _extra(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        reason = "the public instance and logins need an extra: pip install 'retinue[keyless]'"
        raise SignerFailed("sigstore", reason) from None
