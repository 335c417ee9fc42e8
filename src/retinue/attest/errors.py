"""What can be wrong with evidence, a key, or a signer. Whose fault it is, the class says."""

from retinue.errors import RetinueError


class EvidenceError(RetinueError):
    """A signature, envelope, certificate or proof that does not establish anything.

    `part` names what was looked at ("bundle", "certificate", "inclusion proof", …).
    """

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part
        self.reason = reason


class Malformed(EvidenceError):
    """The bytes cannot be read as what they should be (verdict: unreadable)."""


class Refused(EvidenceError):
    """The bytes can be read and do not verify (verdict: failed)."""


class NoAnchor(EvidenceError):
    """Nothing that we trust could have made this signature (verdict: no anchor)."""


class KeyUnusable(RetinueError):
    """A key reference that cannot be used: absent, malformed, of a foreign kind, too weak.

    `reference` is what the user gave; never key material.
    """

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(f"key {reference}: {reason}")
        self.reference = reference
        self.reason = reason


class WrongPassword(KeyUnusable):
    """The key is encrypted, and the password does not open it (or none was given)."""


class SignerFailed(RetinueError):
    """A remote signer (a KMS, an HSM, a CA, a log) refused or could not be reached.

    `status` is that of its answer over HTTP; 0: there was none.
    """

    def __init__(self, signer: str, reason: str, status: int = 0) -> None:
        super().__init__(f"{signer} did not sign: {reason}")
        self.signer = signer
        self.reason = reason
        self.status = status


class AnswerRefused(SignerFailed):
    """A clock, a log or a CA answered, and its answer does not verify. Repeating will not help: it is
    another one than the trusted root names, or it lies. Nothing of it was kept.
    """

    def __init__(self, signer: str, reason: str) -> None:
        super().__init__(signer, f"its answer does not verify: {reason}")
