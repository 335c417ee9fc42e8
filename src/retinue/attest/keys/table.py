"""Which module knows a kind of key reference. Each has `open_signer` and `open_public`."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Protocol, cast

from retinue.attest.errors import KeyUnusable
from retinue.attest.keys.key import PublicKey, Signer

SCHEMES: Mapping[str, str] = {
    "env://": "env",
    "hashivault://": "vault",
    "pkcs11:": "pkcs11",
    "awskms://": "awskms",
    "gcpkms://": "gcpkms",
    "azurekms://": "azurekms",
}
"""What a reference begins with, and the module here that opens it; all else is a file."""


class Opener(Protocol):
    """What a module of the table offers."""

    def open_signer(self, reference: str, password: Callable[[], bytes] | None) -> Signer: ...

    def open_public(self, reference: str) -> PublicKey: ...


def open_signer(reference: str, password: Callable[[], bytes] | None = None) -> Signer:
    """The private key that this reference names. `password` is called only where one is needed.

    Raises KeyUnusable, WrongPassword, SignerFailed.
    """
    return _module(reference).open_signer(reference, password)


def open_public(reference: str) -> PublicKey:
    """The public key that this reference names; raises KeyUnusable, SignerFailed."""
    return _module(reference).open_public(reference)


def _module(reference: str) -> Opener:
    for scheme, name in SCHEMES.items():
        if reference.startswith(scheme):
            return cast("Opener", import_module(f"retinue.attest.keys.{name}"))
    if "://" in reference:
        schemes = ", ".join(SCHEMES)
        raise KeyUnusable(reference, f"is of no known kind; use a file or one of {schemes}")
    return cast("Opener", import_module("retinue.attest.keys.files"))
