"""Keys in files: a path."""

from collections.abc import Callable

from retinue.attest.errors import KeyUnusable
from retinue.attest.keys import pem
from retinue.attest.keys.key import PublicKey, Signer


def open_signer(reference: str, password: Callable[[], bytes] | None) -> Signer:
    return pem.load_private(_read(reference), password, reference)


def open_public(reference: str) -> PublicKey:
    return pem.load_public(_read(reference), reference)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a reference, not a path yet
            return file.read(pem.MAX_PEM + 1)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise KeyUnusable(path, reason) from None
    except ValueError:
        raise KeyUnusable(path[:200], "is no path of a file") from None
