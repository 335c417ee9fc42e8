"""What clients propose to logs: read, checked, and brought into the form that the log keeps."""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from retinue.devstack.authority import Public, verify
from retinue.devstack.errors import NotGiven
from retinue.strictjson import InvalidJson, loads

Json = Mapping[str, Any]

_MAX_ENVELOPE = 64 * 1024 * 1024
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_DETAILS = {
    "PKIX_ECDSA_P256_SHA_256": "sha256",
    "PKIX_ECDSA_P384_SHA_384": "sha384",
    "PKIX_ECDSA_P521_SHA_512": "sha512",
    "PKIX_RSA_PKCS1V15_2048_SHA256": "sha256",
    "PKIX_RSA_PKCS1V15_3072_SHA256": "sha256",
    "PKIX_RSA_PKCS1V15_4096_SHA256": "sha256",
}


def canonical(value: Json) -> bytes:
    """RFC 8785 for what entries hold: ASCII texts, no fractions."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def entry_1(proposed: Json) -> bytes:
    """The body of an entry in a log of the first version. Raises NotGiven."""
    return _read(proposed, lambda p: _KINDS[p["kind"], p["apiVersion"]](p["spec"]))


def entry_2(proposed: Json) -> bytes:
    """The same for the second version; cosign 2 still writes its older kind for envelopes."""
    if "dsseRequestV002" in proposed:
        return _read(proposed, lambda p: _dsse_2(p["dsseRequestV002"]))
    return _read(proposed, lambda p: _hashedrekord_2(p["hashedRekordRequestV002"]))


def _read(proposed: Json, read: Callable[[Json], bytes]) -> bytes:
    try:
        return read(proposed)
    except InvalidSignature:
        raise NotGiven(400, "the signature does not verify") from None
    except InvalidJson as error:
        raise NotGiven(400, f"the envelope: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm) as error:
        raise NotGiven(400, f"the proposed entry cannot be read: {error!r}") from None


def _hashedrekord_1(spec: Json) -> bytes:
    found = spec["data"]["hash"]
    signature = b64decode(spec["signature"]["content"])
    verifier = b64decode(spec["signature"]["publicKey"]["content"])
    kind = found.get("algorithm", "sha256")
    _check_digest(load_verifier(verifier), signature, bytes.fromhex(found["value"]), kind)
    kept = {
        "data": {"hash": {"algorithm": kind, "value": found["value"]}},
        "signature": {
            "content": _text(signature),
            "publicKey": {"content": _text(canonical_pem(verifier))},
        },
    }
    return canonical({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": kept})


def _dsse_1(spec: Json) -> bytes:
    text = spec["proposedContent"]["envelope"]
    payload, signed, signatures = read_envelope(text.encode())
    verifiers = [b64decode(v) for v in spec["proposedContent"]["verifiers"]]
    if len(signatures) != 1 or len(verifiers) != 1:
        raise NotGiven(400, "one signature and one verifier are needed")
    verify(load_verifier(verifiers[0]), signatures[0], signed)
    kept = {
        "envelopeHash": _sha256(text.encode()),
        "payloadHash": _sha256(payload),
        "signatures": [
            {"signature": _text(signatures[0]), "verifier": _text(canonical_pem(verifiers[0]))}
        ],
    }
    return canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": kept})


def _intoto_1(spec: Json) -> bytes:
    """The oldest kind binds the whole envelope, and names no signature."""
    text = spec["content"]["envelope"]
    verifier = b64decode(spec["publicKey"])
    payload, signed, signatures = read_envelope(text.encode())
    for signature in signatures:
        verify(load_verifier(verifier), signature, signed)
    content = {"hash": _sha256(text.encode()), "payloadHash": _sha256(payload)}
    kept = {"content": content, "publicKey": _text(canonical_pem(verifier))}
    return canonical({"apiVersion": "0.0.1", "kind": "intoto", "spec": kept})


def _hashedrekord_2(request: Json) -> bytes:
    found = request["signature"]
    signature, digest = b64decode(found["content"]), b64decode(request["digest"])
    verifier, raw = _verifier_2(found["verifier"])
    name = _DETAILS[verifier["keyDetails"]]
    _check_digest(load_verifier(raw), signature, digest, name)
    algorithm = name.replace("sha", "SHA2_")
    kept = {
        "data": {"algorithm": algorithm, "digest": _text(digest)},
        "signature": {"content": _text(signature), "verifier": verifier},
    }
    spec = {"hashedRekordV002": kept}
    return canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec})


def _dsse_2(request: Json) -> bytes:
    payload, signed, signatures = _envelope(request["envelope"])
    if len(signatures) != 1 or len(request["verifiers"]) != 1:
        raise NotGiven(400, "one signature and one verifier are needed")
    verifier, raw = _verifier_2(request["verifiers"][0])
    verify(load_verifier(raw), signatures[0], signed)
    digest = _text(hashlib.sha256(payload).digest())
    kept = {
        "payloadHash": {"algorithm": "SHA2_256", "digest": digest},
        "signatures": [{"content": _text(signatures[0]), "verifier": verifier}],
    }
    return canonical({"apiVersion": "0.0.2", "kind": "dsse", "spec": {"dsseV002": kept}})


def _verifier_2(found: Json) -> tuple[Json, bytes]:
    """As the log keeps it, and its DER."""
    (kind,) = {"x509Certificate", "publicKey"} & set(found)
    raw = b64decode(found[kind]["rawBytes"])
    return {"keyDetails": found["keyDetails"], kind: {"rawBytes": _text(raw)}}, raw


_KINDS: Mapping[tuple[str, str], Callable[[Json], bytes]] = {
    ("hashedrekord", "0.0.1"): _hashedrekord_1,
    ("dsse", "0.0.1"): _dsse_1,
    ("intoto", "0.0.1"): _intoto_1,
}


def read_envelope(raw: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """A DSSE envelope's payload, its PAE, and its signatures."""
    return _envelope(loads(raw, max_bytes=_MAX_ENVELOPE))


def _envelope(envelope: Json) -> tuple[bytes, bytes, list[bytes]]:
    payload = b64decode(envelope["payload"])
    signatures = [b64decode(s["sig"]) for s in envelope["signatures"]]
    return payload, _pae(envelope["payloadType"], payload), signatures


def _pae(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d " % (len(kind), kind, len(payload)) + payload


def load_verifier(raw: bytes) -> Public:
    """The key of a certificate or of a SubjectPublicKeyInfo, in PEM or DER."""
    if raw.startswith(b"-----BEGIN CERTIFICATE"):
        key: object = x509.load_pem_x509_certificate(raw).public_key()
    elif raw.startswith(b"-----"):
        key = serialization.load_pem_public_key(raw)
    else:
        key = _load_der(raw)
    assert isinstance(key, Public)
    return key


def _load_der(raw: bytes) -> object:
    try:
        return x509.load_der_x509_certificate(raw).public_key()
    except ValueError:
        return serialization.load_der_public_key(raw)


def canonical_pem(raw: bytes) -> bytes:
    """PEM as Go writes it."""
    if raw.startswith(b"-----BEGIN CERTIFICATE"):
        encoding = serialization.Encoding.PEM
        return x509.load_pem_x509_certificate(raw).public_bytes(encoding)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return load_verifier(raw).public_bytes(serialization.Encoding.PEM, form)


def _check_digest(key: Public, signature: bytes, digest: bytes, name: str) -> None:
    """Raises InvalidSignature."""
    kind = Prehashed(_HASHES[name])
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, digest, ec.ECDSA(kind))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, digest, padding.PKCS1v15(), kind)
    else:
        raise NotGiven(400, "an Ed25519 key signs no digest")


def _sha256(raw: bytes) -> Json:
    return {"algorithm": "sha256", "value": hashlib.sha256(raw).hexdigest()}


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
