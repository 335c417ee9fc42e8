"""Keys in hardware: `pkcs11:` URIs (RFC 7512), as cosign reads them.

COSIGN_PKCS11_MODULE_PATH names the module where the URI does not; the PIN comes from
COSIGN_PKCS11_PIN, from a file that `pin-source` names, or is asked for, and never from the URI.
"""

import os
import re
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from retinue.attest.errors import KeyUnusable, SignerFailed
from retinue.attest.keys import remote
from retinue.attest.keys.key import Algorithm, PublicKey, Signer
from retinue.attest.keys.public import wrap
from retinue.attest.keys.remote import RemoteSigner

SCHEME = "pkcs11:"
MAX_URI = 4096
MAX_PIN = 1024
_FOUND_BY = frozenset({"token", "serial", "slot-id", "id", "object"})
_IGNORED = frozenset({"type", "manufacturer", "model"})
"""`type` is given by use; the others tell tokens apart that `token` and `serial` already do."""
_QUERY = frozenset({"module-path", "pin-source"})
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DIGEST_INFO = {  # RFC 8017 section 9.2, note 1
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
}
_PSS = {"sha256": 32, "sha384": 48, "sha512": 64}

_LOGGED_IN: dict[tuple[str, int], Any] = {}
"""Sessions by module and slot. A process logs in to a token once (PKCS #11 2.40, section 2.6.7)."""
_USE = Lock()
"""A session does one thing at a time."""


class Uri(Struct, frozen=True):
    """What of a `pkcs11:` URI finds a key. `module` and `pin_source` are paths."""

    text: str
    where: Mapping[str, bytes]
    module: str | None
    pin_source: str | None

    def named(self, name: str) -> str | None:
        value = self.where.get(name)
        return None if value is None else value.decode("utf-8", "replace")


def read_uri(reference: str) -> Uri:
    """RFC 7512 section 2.3; raises KeyUnusable."""
    if len(reference) > MAX_URI or _ESCAPE.search(reference):
        raise KeyUnusable(reference[:200], "is no valid pkcs11: URI (RFC 7512)")
    path, _, query = reference.removeprefix(SCHEME).partition("?")
    if "pin-value" in query:
        shown = f"{SCHEME}{path}?…"
        raise KeyUnusable(shown, "holds a PIN: set COSIGN_PKCS11_PIN instead of `pin-value`")
    where = _attributes(reference, path, ";", _FOUND_BY | _IGNORED)
    asked = _attributes(reference, query, "&", _QUERY)
    if not where.keys() & {"id", "object"}:
        raise KeyUnusable(reference, "must name a key by `object` or `id`")
    return Uri(
        reference,
        {name: value for name, value in where.items() if name in _FOUND_BY},
        _path(asked.get("module-path")),
        _path(asked.get("pin-source")),
    )


def _attributes(
    reference: str, text: str, separator: str, known: frozenset[str]
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in filter(None, text.split(separator)):
        name, equals, value = item.partition("=")
        if not equals or (name not in known and not name.startswith(("x-", "library-"))):
            raise KeyUnusable(reference, f"has the attribute {name[:80]!r}, which is not known")
        if name in found:
            raise KeyUnusable(reference, f"has the attribute {name!r} twice")
        found[name] = unquote_to_bytes(value)
    return found


def _path(value: bytes | None) -> str | None:
    if value is None:
        return None
    return os.fsdecode(value).removeprefix("file:")


def open_signer(reference: str, password: Callable[[], bytes] | None) -> Signer:
    """Raises KeyUnusable, SignerFailed."""
    uri = read_uri(reference)
    library = remote.library(reference, "pkcs11", "pkcs11")
    session = _login(uri, library, _pin(uri, password))
    key = _get(uri, library, session, library.ObjectClass.PRIVATE_KEY)
    public = _public(uri, library, session)
    algorithm, offered = remote.algorithms(public)

    def send(algorithm: Algorithm, data: bytes) -> bytes:
        with _USE:
            return _sign(uri, library, key, algorithm, data)

    return RemoteSigner(reference, public, algorithm, offered, send)


def open_public(reference: str) -> PublicKey:
    """From a token that shows public objects without a PIN, or with the one of the environment."""
    uri = read_uri(reference)
    library = remote.library(reference, "pkcs11", "pkcs11")
    pin = os.environ.get("COSIGN_PKCS11_PIN")
    return _public(uri, library, _login(uri, library, pin.encode() if pin else None))


def _pin(uri: Uri, password: Callable[[], bytes] | None) -> bytes:
    if pin := os.environ.get("COSIGN_PKCS11_PIN"):
        return pin.encode()
    if uri.pin_source is not None:
        try:
            with open(uri.pin_source, "rb") as file:  # noqa: PTH123 - as files.py
                return file.read(MAX_PIN).rstrip(b"\r\n")
        except OSError as error:
            raise KeyUnusable(uri.text, f"`pin-source`: {error.strerror}") from None
    if password is None:
        raise KeyUnusable(uri.text, "needs a PIN: set COSIGN_PKCS11_PIN")
    return password()


def _login(uri: Uri, library: Any, pin: bytes | None) -> Any:
    path = uri.module or os.environ.get("COSIGN_PKCS11_MODULE_PATH")
    if not path:
        raise KeyUnusable(uri.text, "needs `module-path`, or COSIGN_PKCS11_MODULE_PATH")
    try:
        module = library.lib(path)
    except (library.PKCS11Error, RuntimeError) as error:
        raise KeyUnusable(uri.text, f"the module {path!r} cannot be used: {error}") from None
    try:
        tokens = [token for token in module.get_tokens() if _is_meant(uri, token)]
        if len(tokens) != 1:
            raise KeyUnusable(uri.text, f"{len(tokens)} tokens fit; name one by `token`, `serial`")
        return _session(tokens[0], (path, tokens[0].slot.slot_id), pin)
    except (library.PinIncorrect, library.PinInvalid, library.PinLenRange, UnicodeDecodeError):
        raise KeyUnusable(uri.text, "the token refuses the PIN") from None
    except library.PKCS11Error as error:
        raise SignerFailed(uri.text, _told(error)) from None


def _session(token: Any, place: tuple[str, int], pin: bytes | None) -> Any:
    with _USE:
        if place not in _LOGGED_IN:
            if pin is None:
                return token.open()
            _LOGGED_IN[place] = token.open(user_pin=pin.decode())
        return _LOGGED_IN[place]


def _is_meant(uri: Uri, token: Any) -> bool:
    slot = uri.named("slot-id")
    serial = token.serial.decode() if isinstance(token.serial, bytes) else str(token.serial)
    return (
        uri.named("token") in {None, token.label.rstrip()}
        and uri.named("serial") in {None, serial.strip("\0 ")}
        and slot in {None, str(token.slot.slot_id)}
    )


def _get(uri: Uri, library: Any, session: Any, kind: Any) -> Any:
    try:
        return session.get_key(object_class=kind, label=uri.named("object"), id=uri.where.get("id"))
    except library.NoSuchKey:
        raise KeyUnusable(uri.text, f"the token has no such {kind.name.lower()}") from None
    except library.MultipleObjectsReturned:
        raise KeyUnusable(uri.text, "the token has several such keys; name one by `id`") from None
    except library.PKCS11Error as error:
        raise SignerFailed(uri.text, _told(error)) from None


def _public(uri: Uri, library: Any, session: Any) -> PublicKey:
    key = _get(uri, library, session, library.ObjectClass.PUBLIC_KEY)
    try:
        return wrap(_key(uri, library, key), uri.text)
    except (ValueError, library.PKCS11Error):
        raise KeyUnusable(uri.text, "has a public key that cannot be read") from None


def _key(uri: Uri, library: Any, key: Any) -> object:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    if key.key_type == library.KeyType.RSA:
        rsa = remote.library(uri.text, "pkcs11", "pkcs11.util.rsa")
        return load_der_public_key(rsa.encode_rsa_public_key(key))
    if key.key_type == library.KeyType.EC:
        ec = remote.library(uri.text, "pkcs11", "pkcs11.util.ec")
        return load_der_public_key(ec.encode_ec_public_key(key))
    if key.key_type == library.KeyType.EC_EDWARDS:
        point = key[library.Attribute.EC_POINT]  # an OCTET STRING in DER; some write it bare
        return Ed25519PublicKey.from_public_bytes(point[-32:])
    raise KeyUnusable(uri.text, f"is of the kind {key.key_type!s}; use P-256")


def _sign(uri: Uri, library: Any, key: Any, algorithm: Algorithm, data: bytes) -> bytes:
    try:
        signature = bytes(_asked(library, key, algorithm, data))
    except library.PKCS11Error as error:
        raise SignerFailed(uri.text, _told(error)) from None
    return remote.der(signature) if algorithm.startswith("ecdsa-") else signature


def _asked(library: Any, key: Any, algorithm: Algorithm, data: bytes) -> Any:
    mechanism = library.Mechanism
    if algorithm is Algorithm.ED25519:
        return key.sign(data, mechanism=mechanism.EDDSA)
    if algorithm.startswith("ecdsa-"):
        return key.sign(data, mechanism=mechanism.ECDSA)
    name = remote.HASHES[algorithm]
    if algorithm is Algorithm.RSA_PKCS1_SHA256:
        return key.sign(_DIGEST_INFO[name] + data, mechanism=mechanism.RSA_PKCS)
    upper = name.upper()
    parameters = (mechanism[upper], library.MGF[upper], _PSS[name])
    return key.sign(data, mechanism=mechanism.RSA_PKCS_PSS, mechanism_param=parameters)


def _told(error: Exception) -> str:
    """PKCS #11's errors are classes, mostly without a text."""
    return f"{type(error).__name__} {error}".rstrip()
