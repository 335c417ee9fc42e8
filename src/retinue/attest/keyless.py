"""Signing without a key of one's own: a certificate of some minutes for an identity token, a
timestamp, a log entry, and what they say in a bundle.

Everything that a service answers is verified against the trusted root before it is kept: a bundle
that is written verifies. https://github.com/sigstore/architecture-docs/blob/main/client-spec.md
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from retinue.attest.errors import AnswerRefused, EvidenceError, Malformed, SignerFailed
from retinue.attest.formats import dsse
from retinue.attest.formats.bundle import write_bundle
from retinue.attest.keys.key import Algorithm
from retinue.attest.posting import Post, post
from retinue.attest.services import Services, Witnesses
from retinue.attest.statement import read_statement
from retinue.attest.witnessing import JSON, Verifier, object_of, signed_statement, text, witness
from retinue.oci import names

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate


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
    if services.root.wants_log and not services.logs:
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
    leaf = chain[0].public_bytes(serialization.Encoding.DER)
    verifier = Verifier(leaf, Algorithm.ECDSA_P256_SHA256, certificate=True)
    witnesses = Witnesses(services.stamps, services.logs, services.root)
    said = witness(signed_statement(statement, signature, verifier), witnesses, send)
    _check(chain, services, [time.at for time in said.times] or [now])
    material = {"certificate": {"rawBytes": text(leaf)}, **said.material()}
    return write_bundle(names.IN_TOTO, statement, signature, material)


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
    body = {"certificateSigningRequest": text(pem)}
    url = f"{services.authority}/api/v2/signingCert"
    headers = {**JSON, "Authorization": f"Bearer {token}"}
    answer = object_of(url, send(url, json.dumps(body).encode(), headers))
    try:
        texts = answer["signedCertificateEmbeddedSct"]["chain"]["certificates"]
        chain = [load_certificate(PEM_cert_to_DER_cert(pem), "certificate") for pem in texts]
    except (KeyError, TypeError, ValueError, AttributeError, Malformed):
        raise SignerFailed(url, "it answered without certificates that show a log") from None
    if not chain or chain[0].public_key() != key.public_key():
        raise AnswerRefused(url, "it is the certificate of another key")
    return chain


def _check(chain: Sequence["Certificate"], services: Services, times: Sequence[datetime]) -> None:
    from retinue.attest.certificates import identity, verify_chain

    try:
        identity(chain[0])
        for at in times:
            verify_chain(chain[0], chain[1:], services.root, at)
    except EvidenceError as error:
        raise AnswerRefused(services.authority, str(error)) from error


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
