"""Who asks, as everything behind the door sees it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """`name` is what rows record; `anonymous` never holds credentials."""

    name: str
    anonymous: bool = False


ANONYMOUS = Principal("anonymous", anonymous=True)
