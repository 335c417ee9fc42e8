"""The in-toto Statement, v0.1 and v1, as it is found; tolerant of what cosign really writes.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about. `digests`: algorithm to lower-case hex."""

    name: str
    digests: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Statement:
    """`predicate` is its own JSON text within the statement's bytes, never re-serialised.

    It is empty where the statement has none (as cosign 2.6 signs).
    """

    version: str
    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: bytes
