"""A Sigstore trusted root: who issues certificates, keeps logs, tells the time; and since when."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """`digest` is the SHA-256 (hex) of the file that it was read from."""

    digest: str
