"""Keys in environment variables: `env://NAME`, whose value is the PEM itself."""

import os
from collections.abc import Callable

from retinue.attest.errors import KeyUnusable
from retinue.attest.keys import pem
from retinue.attest.keys.key import PublicKey, Signer

SCHEME = "env://"


def open_signer(reference: str, password: Callable[[], bytes] | None) -> Signer:
    return pem.load_private(_read(reference), password, reference)


def open_public(reference: str) -> PublicKey:
    return pem.load_public(_read(reference), reference)


def _read(reference: str) -> bytes:
    name = reference.removeprefix(SCHEME)
    value = os.environ.get(name)
    if value is None:
        raise KeyUnusable(reference, "the environment variable is not set")
    return value.encode()
