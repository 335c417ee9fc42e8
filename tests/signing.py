"""Signed papers for tests: a manifest, and signatures over it by the keys of `trust_vectors`."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from nacl import bindings

from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust
from retinue.attest.sign import sign_statement, signature_statement
from retinue.attest.target import Target
from retinue.oci import digest as digests
from retinue.oci import names
from trust_vectors import private, public

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}'


def target(raw: bytes = MANIFEST, algorithm: str = "sha256") -> Target:
    return Target(digests.of(raw, algorithm), names.OCI_MANIFEST, raw)


def anchored(*keys: str, name: str = "ci") -> Trust:
    """One anchor with all of these keys."""
    return Trust((KeyAnchor(name, tuple(AnchorKey(public(key)) for key in keys)),))


def bundle(key: str = "p256", statement: bytes | None = None, **annotations: str) -> bytes:
    said = signature_statement(target().digest, annotations) if statement is None else statement
    return sign_statement(said, private(key))


def edited(raw: bytes, *way: str | int, value: Any) -> bytes:
    """A JSON document with another value in one place; the value None removes it."""
    document = json.loads(raw)
    place = document
    for name in way[:-1]:
        place = place[name]
    if value is None:
        del place[way[-1]]
    else:
        place[way[-1]] = value
    return json.dumps(document).encode()


def message_bundle(signature: bytes, material: Mapping[str, Any] | None = None) -> bytes:
    """A bundle that has no envelope."""
    document = {
        "mediaType": names.BUNDLE,
        "verificationMaterial": material or {"publicKey": {"hint": ""}},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": "AAAA"},
            "signature": base64.b64encode(signature).decode(),
        },
    }
    return json.dumps(document).encode()


def ph_signature(key: ed25519.Ed25519PrivateKey, message: bytes) -> bytes:
    """Ed25519ph (RFC 8032), as cosign 3 signs."""
    seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    _, secret = bindings.crypto_sign_seed_keypair(seed)
    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, message)
    return bindings.crypto_sign_ed25519ph_final_create(state, secret)
