"""What ocicrypt writes about an encrypted layer: in the open, and wrapped for recipients.

https://github.com/containers/ocicrypt: `blockcipher`. The open part is the descriptor's annotation;
the wrapped part is JSON inside of one JWE or more.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retinue import strictjson
from retinue.crypt import jwe
from retinue.crypt.errors import MalformedOptions
from retinue.crypt.keys import Opener, Recipient
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.strictjson import InvalidJson

CIPHER = "AES_256_CTR_HMAC_SHA256"
KEY_SIZE = 32
NONCE_SIZE = 16
MAX_JSON = 16 * 1024
MAX_WRAPPED = 64
"""JWEs in one annotation, each for one recipient or more."""


@dataclass(frozen=True, slots=True)
class Secret:
    """How one layer is encrypted. `digest` is the plaintext blob's.

    `raw` is the JSON as it was wrapped: that is what another recipient gets.
    """

    key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    digest: Digest
    raw: bytes = field(repr=False, compare=False)


def make_secret(key: bytes, nonce: bytes, digest: Digest) -> Secret:
    document = {
        "symkey": _encode(key),
        "digest": digest,
        "cipheroptions": {"nonce": _encode(nonce)},
    }
    return Secret(key, nonce, digest, _dump(document))


def read_secret(raw: bytes) -> Secret:
    """Wrapped options; raises MalformedOptions. The nonce is only ever taken from here."""
    part = "wrapped options"
    document = _object(raw, part)
    options = document.get("cipheroptions")
    if type(options) is not dict:
        raise MalformedOptions(part, "`cipheroptions` must be an object")
    stated = document.get("digest")
    digest = digests.checked(stated) if type(stated) is str else None
    if digest is None:
        raise MalformedOptions(part, "`digest` is no digest")
    return Secret(
        _decode(document.get("symkey"), part, "symkey", KEY_SIZE),
        _decode(options.get("nonce"), part, "nonce", NONCE_SIZE),
        digest,
        raw,
    )


def write_public(mac: bytes) -> str:
    """The annotation of the open part."""
    return _encode(_dump({"cipher": CIPHER, "hmac": _encode(mac), "cipheroptions": {}}))


def read_public(annotations: Mapping[str, str]) -> bytes:
    """The HMAC of the ciphertext; raises MalformedOptions. What else is in the open is not used."""
    part = names.ANNOTATION_ENC_PUBOPTS
    if part not in annotations:
        raise MalformedOptions(part, "is missing")
    document = _object(_decode(annotations[part], part, "annotation"), part)
    if document.get("cipher") != CIPHER:
        raise MalformedOptions(part, f"the cipher {document.get('cipher')!r:.80} is not {CIPHER}")
    return _decode(document.get("hmac"), part, "hmac", 32)


def wrap(secret: Secret, recipients: Sequence[Recipient]) -> bytes:
    """One JWE for all of these recipients."""
    return jwe.encrypt(secret.raw, recipients)


def unwrap(wrapped: bytes, keys: Sequence[Opener]) -> Secret | None:
    """None where none of the keys fits; raises MalformedOptions."""
    raw = jwe.decrypt(wrapped, keys)
    return None if raw is None else read_secret(raw)


def write_wrapped(wrapped: Sequence[bytes]) -> str:
    """The annotation of the wrapped part."""
    return ",".join(_encode(each) for each in wrapped)


def read_wrapped(annotations: Mapping[str, str]) -> tuple[bytes, ...]:
    """The JWEs of a layer's annotation, none where it has none; raises MalformedOptions."""
    part = names.ANNOTATION_ENC_JWE
    text = annotations.get(part, "")
    items = text.split(",") if text else []
    if len(items) > MAX_WRAPPED:
        raise MalformedOptions(part, f"holds {len(items)} JWEs, more than {MAX_WRAPPED}")
    return tuple(_decode(item, part, "annotation") for item in items)


def other_schemes(annotations: Mapping[str, str]) -> Sequence[str]:
    """How the key is wrapped besides: `pgp`, `pkcs7`, `provider.…`."""
    prefix = names.ANNOTATION_ENC_PREFIX + "keys."
    return sorted(n.removeprefix(prefix) for n in annotations if n.startswith(prefix))


def _object(raw: bytes, part: str) -> dict[str, Any]:
    try:
        value = strictjson.loads(raw, max_bytes=MAX_JSON)
    except InvalidJson as error:
        raise MalformedOptions(part, str(error)) from None
    if type(value) is not dict:
        raise MalformedOptions(part, "must be an object")
    return value


def _decode(value: Any, part: str, name: str, size: int | None = None) -> bytes:
    if type(value) is not str:
        raise MalformedOptions(part, f"`{name}` must be base64 text")
    try:
        data = base64.b64decode(value.encode(), validate=True)
    except binascii.Error:
        raise MalformedOptions(part, f"`{name}` is not base64") from None
    if size is not None and len(data) != size:
        raise MalformedOptions(part, f"`{name}` must have {size} bytes, not {len(data)}")
    return data


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
