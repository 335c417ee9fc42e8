"""Who asks, as everything behind the door sees it."""

from msgspec import Struct


class Principal(Struct, frozen=True):
    """`name` is what rows record; `anonymous` never holds credentials."""

    name: str
    anonymous: bool = False


ANONYMOUS = Principal("anonymous", anonymous=True)
