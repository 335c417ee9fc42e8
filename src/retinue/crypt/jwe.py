"""JSON Web Encryption (RFC 7516) for several recipients, as go-jose and so ocicrypt write it.

Written: A256GCM with RSA-OAEP (SHA-1, which stock clients expect; its security does not rest on
collisions) or ECDH-ES+A256KW. Read besides: RSA-OAEP-256, the shorter key wraps, both JSON forms.
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from msgspec import Struct

from retinue import strictjson
from retinue.crypt.errors import MalformedOptions
from retinue.crypt.keys import Opener, Recipient
from retinue.strictjson import InvalidJson

MAX_BYTES = 256 * 1024
MAX_RECIPIENTS = 64
ENC = "A256GCM"
_CEK = 32
_PART = "JWE"
_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")
_CONTENT = {"A128GCM": 16, "A192GCM": 24, "A256GCM": 32}
_WRAPS = {"ECDH-ES+A128KW": 16, "ECDH-ES+A192KW": 24, "ECDH-ES+A256KW": 32}
_OAEP: Mapping[str, hashes.HashAlgorithm] = {
    "RSA-OAEP": hashes.SHA1(),  # noqa: S303 - what RFC 7518 section 4.3 fixes
    "RSA-OAEP-256": hashes.SHA256(),
}
_CURVES: Mapping[str, tuple[ec.EllipticCurve, int]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-384": (ec.SECP384R1(), 48),
    "P-521": (ec.SECP521R1(), 66),
}


class _For(Struct, frozen=True):
    """One recipient: all headers that are about him, and the content's key as it is wrapped."""

    header: Mapping[str, Any]
    wrapped: bytes


class _Jwe(Struct, frozen=True):
    protected: str
    recipients: tuple[_For, ...]
    iv: bytes
    ciphertext: bytes
    tag: bytes


def encrypt(plaintext: bytes, recipients: Sequence[Recipient]) -> bytes:
    """The general JSON form, for one recipient or more."""
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise MalformedOptions("recipients", f"{len(recipients)} are not 1 to {MAX_RECIPIENTS}")
    key, iv = secrets.token_bytes(_CEK), secrets.token_bytes(12)
    protected = _encode(_dump({"enc": ENC}))
    sealed = AESGCM(key).encrypt(iv, plaintext, protected.encode())
    return _dump(
        {
            "protected": protected,
            "recipients": [_wrap(key, recipient) for recipient in recipients],
            "iv": _encode(iv),
            "ciphertext": _encode(sealed[:-16]),
            "tag": _encode(sealed[-16:]),
        }
    )


def decrypt(raw: bytes, keys: Sequence[Opener]) -> bytes | None:
    """What the first of these keys that fits opens; None where none does.

    Raises MalformedOptions for what is no JWE. A wrong key and damage look alike.
    """
    jwe = _read(raw)
    for recipient in jwe.recipients:
        for key in keys:
            content_key = _unwrap(recipient, key)
            if content_key is not None:
                plaintext = _open(jwe, recipient, content_key)
                if plaintext is not None:
                    return plaintext
    return None


def _open(jwe: _Jwe, recipient: _For, key: bytes) -> bytes | None:
    enc = recipient.header.get("enc")
    if type(enc) is not str or _CONTENT.get(enc) != len(key):
        return None
    try:
        return AESGCM(key).decrypt(jwe.iv, jwe.ciphertext + jwe.tag, jwe.protected.encode())
    except InvalidTag:
        return None


def _wrap(key: bytes, recipient: Recipient) -> Mapping[str, Any]:
    if isinstance(recipient, rsa.RSAPublicKey):
        wrapped = recipient.encrypt(key, _oaep(_OAEP["RSA-OAEP"]))
        return {"header": {"alg": "RSA-OAEP"}, "encrypted_key": _encode(wrapped)}
    algorithm = "ECDH-ES+A256KW"
    ephemeral = ec.generate_private_key(recipient.curve)
    secret = ephemeral.exchange(ec.ECDH(), recipient)
    wrapped = keywrap.aes_key_wrap(_derive(secret, algorithm, b"", b""), key)
    header = {"alg": algorithm, "epk": _jwk(ephemeral.public_key())}
    return {"header": header, "encrypted_key": _encode(wrapped)}


def _unwrap(recipient: _For, key: Opener) -> bytes | None:
    algorithm = str(recipient.header.get("alg"))
    try:
        if isinstance(key, rsa.RSAPrivateKey) and algorithm in _OAEP:
            return key.decrypt(recipient.wrapped, _oaep(_OAEP[algorithm]))
        if isinstance(key, ec.EllipticCurvePrivateKey) and algorithm in _WRAPS:
            return _unwrap_ecdh(recipient, key, algorithm)
    except (ValueError, keywrap.InvalidUnwrap):
        return None
    return None


def _unwrap_ecdh(recipient: _For, key: ec.EllipticCurvePrivateKey, algorithm: str) -> bytes | None:
    point = _point(recipient.header.get("epk"))
    if point.curve.name != key.curve.name:
        return None
    info = [_decode(recipient.header.get(name, ""), name) for name in ("apu", "apv")]
    secret = key.exchange(ec.ECDH(), point)
    return keywrap.aes_key_unwrap(_derive(secret, algorithm, *info), recipient.wrapped)


def _derive(secret: bytes, algorithm: str, apu: bytes, apv: bytes) -> bytes:
    """RFC 7518 section 4.6.2."""
    length = _WRAPS[algorithm]
    parts = (algorithm.encode(), apu, apv)
    info = b"".join(len(part).to_bytes(4) + part for part in parts) + (8 * length).to_bytes(4)
    return ConcatKDFHash(hashes.SHA256(), length, info).derive(secret)


def _oaep(algorithm: hashes.HashAlgorithm) -> padding.OAEP:
    return padding.OAEP(padding.MGF1(algorithm), algorithm, None)


def _jwk(key: ec.EllipticCurvePublicKey) -> Mapping[str, str]:
    numbers = key.public_numbers()
    for name, (curve, size) in _CURVES.items():
        if curve.name == key.curve.name:
            x, y = _encode(numbers.x.to_bytes(size)), _encode(numbers.y.to_bytes(size))
            return {"kty": "EC", "crv": name, "x": x, "y": y}
    raise ValueError(key.curve.name)


def _point(value: Any) -> ec.EllipticCurvePublicKey:
    """Raises MalformedOptions; ValueError where the point is not on its curve."""
    if type(value) is not dict or value.get("kty") != "EC" or value.get("crv") not in _CURVES:
        raise MalformedOptions(_PART, "`epk` is no EC key on a curve that is known")
    x, y = (int.from_bytes(_decode(value.get(name), f"epk.{name}")) for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, _CURVES[value["crv"]][0]).public_key()


def _read(raw: bytes) -> _Jwe:
    document = _object(raw)
    protected = document.get("protected")
    if type(protected) is not str or "aad" in document:
        raise MalformedOptions(_PART, "needs a protected header, and no further data")
    header = _object(_decode(protected, "protected"))
    if unknown := header.keys() & {"crit", "zip"}:
        raise MalformedOptions(_PART, f"the header {min(unknown)!r} is not understood")
    unprotected = document.get("unprotected", {})
    if type(unprotected) is not dict:
        raise MalformedOptions(_PART, "`unprotected` must be an object")
    shared = {**unprotected, **header}
    return _Jwe(
        protected,
        tuple(_recipients(document, shared)),
        _decode(document.get("iv"), "iv", 12),
        _decode(document.get("ciphertext"), "ciphertext"),
        _decode(document.get("tag"), "tag", 16),
    )


def _recipients(document: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[_For]:
    """go-jose repeats the first recipient's key beside the list of them all: the list counts."""
    items = document.get("recipients", [document])
    if type(items) is not list or not 1 <= len(items) <= MAX_RECIPIENTS:
        raise MalformedOptions(_PART, f"must have 1 to {MAX_RECIPIENTS} recipients")
    for item in items:
        own = item.get("header", {}) if type(item) is dict else None
        if type(own) is not dict:
            raise MalformedOptions(_PART, "a recipient and his header must be objects")
        yield _For({**own, **shared}, _decode(item.get("encrypted_key"), "encrypted_key"))


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = strictjson.loads(raw, max_bytes=MAX_BYTES)
    except InvalidJson as error:
        raise MalformedOptions(_PART, str(error)) from None
    if type(value) is not dict:
        raise MalformedOptions(_PART, "must be an object")
    return value


def _decode(value: Any, part: str, size: int | None = None) -> bytes:
    if type(value) is not str or not _ALPHABET.fullmatch(value):
        raise MalformedOptions(_PART, f"`{part}` must be base64url without padding")
    try:
        data = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except binascii.Error:
        raise MalformedOptions(_PART, f"`{part}` is not base64url") from None
    if size is not None and len(data) != size:
        raise MalformedOptions(_PART, f"`{part}` must have {size} bytes, not {len(data)}")
    return data


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
