"""What no tool makes on purpose: keys, other spellings of one signature, papers that pretend."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGN = "https://sigstore.dev/cosign/sign/v1"


def new_key(kind: str) -> Any:
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(CURVES[kind])


def pem(key: Any, form: str) -> bytes:
    """`form`: PKCS8, or TraditionalOpenSSL (PKCS#1, SEC1)."""
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    raw: bytes = key.private_bytes(encoding, getattr(serialization.PrivateFormat, form), plain)
    return raw


def public_pem(key: Any) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    raw: bytes = key.public_key().public_bytes(encoding, form)
    return raw


def load(path: Path) -> Any:
    return serialization.load_pem_private_key(path.read_bytes(), None)


def sign(key: Any, data: bytes, algorithm: str = "sha256", *, pss: bool = False) -> bytes:
    digest = getattr(hashes, algorithm.upper())()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    if isinstance(key, rsa.RSAPrivateKey):
        salted = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
        return key.sign(data, salted if pss else padding.PKCS1v15(), digest)
    made: bytes = key.sign(data, ec.ECDSA(digest))
    return made


def malleated(signature: bytes) -> bytes:
    """The same P-256 signature with `n - s`: as valid as the first."""
    r, s = utils.decode_dss_signature(signature)
    return utils.encode_dss_signature(r, ORDER_P256 - s)


def pae(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def simple_payload(image: str, digest: str) -> bytes:
    identity = {"docker-reference": image}
    critical = {
        "identity": identity,
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    return compact({"critical": critical, "optional": None})


def statement(digest: str, predicate_type: str, predicate: Any) -> bytes:
    return compact(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}, "annotations": {}}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def bundle(payload: bytes, signature: bytes, key: Any) -> bytes:
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    envelope = {
        "payload": encoded(payload),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": encoded(signature)}],
    }
    hint = encoded(hashlib.sha256(der).digest())
    return compact(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": envelope,
        }
    )


def signed_bundle(key: Any, payload: bytes, algorithm: str = "sha256", *, pss: bool = False) -> bytes:
    text = pae("application/vnd.in-toto+json", payload)
    return bundle(payload, sign(key, text, algorithm, pss=pss), key)


def with_malleated(raw: bytes) -> bytes:
    document = json.loads(raw)
    (only,) = document["dsseEnvelope"]["signatures"]
    only["sig"] = encoded(malleated(base64.b64decode(only["sig"])))
    return compact(document)


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def payload(raw: bytes) -> bytes:
    """The signed bytes of a bundle's envelope."""
    return base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"])
