"""What can be wrong with encrypted layers, and with keys for them."""

from retinue.errors import RetinueError
from retinue.oci.digest import Digest


class CryptError(RetinueError):
    """Anything about encrypted images."""


class RecipientUnusable(CryptError):
    """A key that nothing can be encrypted for, or decrypted with. `reference`: what the user gave."""

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(f"key {reference}: {reason}")
        self.reference = reference
        self.reason = reason


class NotEncryptable(CryptError):
    """An image, or a part of one, that cannot be encrypted or decrypted as it is."""

    def __init__(self, digest: Digest, reason: str) -> None:
        super().__init__(f"{digest}: {reason}")
        self.digest = digest
        self.reason = reason


class NoKeyFits(CryptError):
    """No key that was given opens this layer: it is encrypted for others."""

    def __init__(self, layer: Digest, reason: str) -> None:
        super().__init__(f"layer {layer}: {reason}")
        self.layer = layer
        self.reason = reason


class Tampered(CryptError):
    """A layer that a key opens, and that is not what was encrypted. Nothing of it is released."""

    def __init__(self, layer: Digest, reason: str) -> None:
        super().__init__(f"layer {layer}: {reason}; nothing of it was written")
        self.layer = layer
        self.reason = reason


class MalformedOptions(CryptError):
    """Wrapped keys or cipher options that cannot be read. `part` says which."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part
        self.reason = reason
