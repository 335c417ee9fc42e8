"""Keys in PEM: PKCS #1, SEC 1, PKCS #8, SubjectPublicKeyInfo, and cosign's encrypted ones."""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from contextlib import suppress

from cryptography.exceptions import UnsupportedAlgorithm

from retinue.attest.errors import KeyUnusable, WrongPassword
from retinue.attest.keys import cosign
from retinue.attest.keys.key import PublicKey, Signer
from retinue.attest.keys.public import wrap, wrap_p256

MAX_PEM = 64 * 1024
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,60})-----(.{0,65536}?)-----END \1-----", re.DOTALL)
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,60})-----")

PUBLIC = ("PUBLIC KEY", "RSA PUBLIC KEY")
PRIVATE = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY")
OPENSSH = "OPENSSH PRIVATE KEY"
PARAMETERS = "EC PARAMETERS"


def load_public(pem: bytes, reference: str = "PEM") -> PublicKey:
    """The one public key in this PEM; raises KeyUnusable."""
    label, block, body = _only(pem, reference)
    if label not in PUBLIC:
        article = "a private key; give" if "PRIVATE" in label else f"{label!r}, not"
        raise KeyUnusable(reference, f"holds {article} a public key (PEM, 'PUBLIC KEY')")
    with suppress(Base64Error):
        if usual := wrap_p256(_base64(body)):
            return usual
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnusable(reference, "does not hold a public key of a known kind") from None
    return wrap(key, reference)


def load_private(pem: bytes, password: Callable[[], bytes] | None, reference: str) -> Signer:
    """The one private key in this PEM, to sign with; raises KeyUnusable, WrongPassword.

    `password` is called only for an encrypted key.
    """
    from retinue.attest.keys.private import wrap_private  # who verifies needs none

    return wrap_private(open_private(pem, password, reference), reference)


def open_private(pem: bytes, password: Callable[[], bytes] | None, reference: str) -> object:
    """The same, of whichever kind and for whatever use it is."""
    label, block, body = _only(pem, reference)
    if label in cosign.LABELS:
        from retinue.attest.keys.private import load_der

        sealed = _decoded(body, reference)
        return load_der(cosign.unseal(sealed, _ask(password, reference), reference), reference)
    if label == OPENSSH:
        reason = "is an OpenSSH key; convert a copy with `ssh-keygen -p -m PKCS8 -f COPY`"
        raise KeyUnusable(reference, reason)
    if label not in PRIVATE:
        raise KeyUnusable(reference, f"holds {label!r}, not a private key")
    encrypted = label.startswith("ENCRYPTED") or b"Proc-Type: 4,ENCRYPTED" in body
    secret = _ask(password, reference) if encrypted else None
    return _load(block, secret, reference)


def _load(block: bytes, password: bytes | None, reference: str) -> object:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(block, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if password is None:
            reason = "does not hold a private key of a known kind"
            raise KeyUnusable(reference, reason) from None
        raise WrongPassword(reference, "the password does not open it") from None


def _ask(password: Callable[[], bytes] | None, reference: str) -> bytes:
    if password is None:
        raise WrongPassword(reference, "is encrypted, and no password was given")
    return password()


def _only(pem: bytes, reference: str) -> tuple[str, bytes, bytes]:
    """Label, whole block, and body of the one block that matters."""
    if len(pem) > MAX_PEM:
        reason = f"{len(pem)} bytes are more than the {MAX_PEM} a key may have"
        raise KeyUnusable(reference, reason)
    begun = [label.decode() for label in _BEGIN.findall(pem)]
    blocks = [(block[1].decode(), block[0], block[2]) for block in _BLOCK.finditer(pem)]
    found = [block for block in blocks if block[0] != PARAMETERS]
    if not begun:
        raise KeyUnusable(reference, "is not PEM: no line '-----BEGIN …-----' in it")
    if len(blocks) != len(begun):
        raise KeyUnusable(reference, f"is cut off: {begun[-1]!r} has no end")
    if len(found) != 1:
        raise KeyUnusable(reference, f"holds {len(found)} PEM blocks; one key is expected")
    return found[0]


def _decoded(body: bytes, reference: str) -> bytes:
    try:
        return _base64(body)
    except Base64Error:
        raise KeyUnusable(reference, "is damaged: not base64 inside of the PEM") from None


def _base64(body: bytes) -> bytes:
    return b64decode(b"".join(body.split()), validate=True)
