"""Notary Project signatures (`notation`): verified in both envelopes, written as JWS."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from retinue import strictjson
from retinue.attest import codesigning
from retinue.attest.anchors import Trust, X509Anchor
from retinue.attest.codesigning import Chain
from retinue.attest.errors import KeyUnusable, Malformed, NoAnchor, Refused
from retinue.attest.formats import jwa, jws, notary
from retinue.attest.formats.notary import Envelope
from retinue.attest.proof import Format, Proof, TrustedTime, signature_id
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.strictjson import InvalidJson

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from retinue.attest.keys.key import Signer
    from retinue.attest.target import Target

MAX_PAYLOAD = 1024 * 1024


def verify_notation(raw: bytes, media_type: str, target: "Target", trust: Trust) -> Proof:
    """A signature in an envelope of this media type, about the target's manifest.

    The times at which its certificates are valid are in the proof; so is its expiry. A time that
    the signer states is a claim, and is not (trust.md 4). Raises Malformed, Refused, NoAnchor.
    """
    envelope = notary.read_envelope(raw, media_type)
    chain = codesigning.read_chain(envelope.chain)
    anchors = [
        a for a in trust.anchors if isinstance(a, X509Anchor) and codesigning.matches(a, chain)
    ]
    if not anchors:
        subject = chain.leaf.subject.rfc4514_string()[:200]
        raise NoAnchor("certificate", f"no X.509 anchor has a root and subject of {subject!r}")
    _check_signature(envelope, chain)
    annotations = _check_payload(envelope.payload, target)
    return _proof(envelope, chain, anchors, annotations, _trusted_times(envelope, chain, trust))


def _proof(
    envelope: Envelope,
    chain: Chain,
    anchors: Sequence[X509Anchor],
    annotations: Mapping[str, str],
    times: tuple[TrustedTime, ...],
) -> Proof:
    key = f"sha256:{hashlib.sha256(_spki(chain.key)).hexdigest()}"
    subject = chain.leaf.subject.rfc4514_string()
    return Proof(
        format=Format.NOTATION,
        signature=signature_id(key, hashlib.sha256(envelope.message).digest()),
        principal=codesigning.principal_of(chain.leaf, key),
        anchors=tuple(anchor.name for anchor in anchors),
        key=key,
        times=times,
        logged=False,
        statement=None,
        annotations=annotations,
        reference=None,
        certificate={"subject": subject, "issuer": chain.leaf.issuer.rfc4514_string()},
        expires=envelope.expires,
        not_before=chain.since,
        not_after=chain.until,
    )


def _spki(key: "PublicKeyTypes") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_signature(envelope: Envelope, chain: Chain) -> None:
    scheme = jwa.notary_scheme(chain.key)
    if scheme is None or scheme.name != envelope.algorithm:
        wanted = "no scheme is known for" if scheme is None else f"{scheme.name} belongs to"
        raise Refused("alg", f"is {envelope.algorithm}, but {wanted} the certificate's key")
    if not jwa.verifies(scheme, chain.key, envelope.signature, envelope.message):
        raise Refused("signature", "does not verify with the certificate's key")


def _check_payload(payload: bytes, target: "Target") -> Mapping[str, str]:
    """The signed annotations of a payload that is about this target, and nothing else."""
    try:
        document = strictjson.loads(payload, max_bytes=MAX_PAYLOAD)
    except InvalidJson as error:
        raise Malformed("payload", str(error)) from None
    artifact = document.get("targetArtifact") if type(document) is dict else None
    if type(artifact) is not dict:
        raise Malformed("payload", "has no object `targetArtifact`")
    _check_target(artifact, target)
    return _annotations(artifact.get("annotations"))


def _check_target(artifact: Mapping[str, Any], target: "Target") -> None:
    stated = artifact.get("digest")
    digest = digests.checked(stated) if type(stated) is str else None
    if digest is None or not target.names_it({digests.algorithm(digest): digests.encoded(digest)}):
        raise Refused("targetArtifact.digest", f"{stated!r:.160} is not {target.digest}")
    for name, value in (("size", len(target.raw)), ("mediaType", target.media_type)):
        stated = artifact.get(name)
        if type(stated) is not type(value) or stated != value:
            raise Refused(f"targetArtifact.{name}", f"{stated!r:.160} is not {value!r}")


def _annotations(value: Any) -> Mapping[str, str]:
    if value is None:
        return {}
    if type(value) is not dict or any(type(item) is not str for item in value.values()):
        raise Malformed("targetArtifact.annotations", "must be a map of strings")
    return value


def _trusted_times(envelope: Envelope, chain: Chain, trust: Trust) -> tuple[TrustedTime, ...]:
    """Of a countersignature by an authority that we trust; another authority's says nothing."""
    if envelope.token is None:
        return ()
    from retinue.attest.timestamp import verify_timestamp

    try:
        time = verify_timestamp(envelope.token, envelope.signature, trust.times, trust.roots)
    except NoAnchor:
        return ()
    if not chain.since <= time.at <= chain.until:
        window = f"{chain.since.isoformat()} to {chain.until.isoformat()}"
        raise Refused("certificate", f"was valid {window}, but signed {time.at.isoformat()}")
    return (time,)


def sign_notation(
    target: "Target",
    signer: "Signer",
    chain: bytes,
    *,
    now: datetime,
    expires: datetime | None = None,
    annotations: Mapping[str, str] | None = None,
    agent: str = "retinue",
) -> bytes:
    """A JWS envelope (flattened JSON) that `notation verify` accepts.

    `chain`: PEM certificates, the signer's first, up to the self-signed root. Raises KeyUnusable
    when signer and chain do not belong together, Refused for a chain that breaks a rule.
    """
    from retinue.attest.keys.pss import as_pss

    certificates = read_certificates(chain)
    signer = as_pss(signer)
    scheme = _signing_scheme(signer, certificates)
    protected = _protected(scheme.name, now, expires)
    payload = _payload(target, annotations or {})
    message = jws.encode(_dump(protected)) + b"." + jws.encode(payload)
    signature = jwa.from_der(scheme, signer.sign((message,)))
    if not jwa.verifies(scheme, certificates.key, signature, message):
        raise KeyUnusable(scheme.name, "made a signature that its certificate does not verify")
    return _dump(
        {
            "payload": jws.encode(payload).decode(),
            "protected": jws.encode(_dump(protected)).decode(),
            "header": {"x5c": _x5c(certificates), notary.AGENT: agent},
            "signature": jws.encode(signature).decode(),
        }
    )


def read_certificates(pem: bytes) -> Chain:
    """A signer's chain; raises Malformed, or Refused for one that breaks a rule."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise Malformed("certificate chain", f"is no PEM: {str(error)[:200]}") from None
    if len(found) > notary.MAX_CHAIN:
        raise Malformed("certificate chain", f"has more than {notary.MAX_CHAIN} certificates")
    return codesigning.read_chain(tuple(each.public_bytes(Encoding.DER) for each in found))


def _signing_scheme(signer: "Signer", chain: Chain) -> jwa.Scheme:
    subject = chain.leaf.subject.rfc4514_string()[:200]
    if signer.public.spki != _spki(chain.key):
        raise KeyUnusable(subject, "is not the key of the chain's first certificate")
    scheme = jwa.notary_scheme(chain.key)
    if scheme is None:
        raise KeyUnusable(subject, "use P-256, P-384, P-521, or RSA of 2048, 3072 or 4096 bits")
    if signer.algorithm.value not in _ALGORITHMS[scheme.name]:
        wanted = _ALGORITHMS[scheme.name]
        raise KeyUnusable(subject, f"signs with {signer.algorithm}; notation needs {wanted}")
    return scheme


_ALGORITHMS = {
    "ES256": "ecdsa-p256-sha256",
    "ES384": "ecdsa-p384-sha384",
    "ES512": "ecdsa-p521-sha512",
    "PS256": "rsa-pss-sha256",
    "PS384": "rsa-pss-sha384",
    "PS512": "rsa-pss-sha512",
}


def _protected(algorithm: str, now: datetime, expires: datetime | None) -> Mapping[str, Any]:
    critical = [notary.SCHEME]
    header = {
        "alg": algorithm,
        "crit": critical,
        "cty": names.NOTATION_PAYLOAD,
        notary.SCHEME: notary.X509,
        notary.SIGNING_TIME: _rfc3339(now),
    }
    if expires is not None:
        critical.append(notary.EXPIRY)
        header[notary.EXPIRY] = _rfc3339(expires)
    return header


def _rfc3339(at: datetime) -> str:
    return at.replace(microsecond=0).isoformat()


def _payload(target: "Target", annotations: Mapping[str, str]) -> bytes:
    for name in annotations:
        if name.startswith(names.NOTATION_PREFIX):
            raise Refused("annotation", f"{name!r}: the prefix is the Notary Project's")
    artifact: dict[str, Any] = {
        "mediaType": target.media_type,
        "digest": target.digest,
        "size": len(target.raw),
    }
    if annotations:
        artifact["annotations"] = dict(annotations)
    return _dump({"targetArtifact": artifact})


def _x5c(chain: Chain) -> Sequence[str]:
    from cryptography.hazmat.primitives.serialization import Encoding

    return [
        base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain.certificates
    ]


def _dump(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def signature_of(envelope: bytes) -> bytes:
    """What a timestamp authority countersigns of a JWS envelope; raises Malformed."""
    return jws.read_flattened(envelope).signature


def countersigned(envelope: bytes, response: bytes) -> bytes:
    """The JWS envelope with a timestamp (a granting TimeStampResp) over its signature.

    It is not verified here: who trusts its authority does that. Raises Malformed.
    """
    from retinue.attest.der import SEQUENCE, Reader

    outer = Reader(response, "timestamp").inside(SEQUENCE)
    outer.any()  # the status; a response that grants nothing has nothing after it
    token = base64.b64encode(outer.take(SEQUENCE).raw).decode()
    jws.read_flattened(envelope)
    document = strictjson.loads(envelope)
    document["header"][notary.TIMESTAMP] = token
    return _dump(document)


def thumbprints(envelope: bytes, media_type: str = names.NOTATION_JWS) -> Mapping[str, str]:
    """The annotation that a signature's manifest must carry ("OCI Signatures")."""
    chain = notary.read_envelope(envelope, media_type).chain
    prints = [hashlib.sha256(each).hexdigest() for each in chain]
    return {names.ANNOTATION_THUMBPRINTS: _dump(prints).decode()}
