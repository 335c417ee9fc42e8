"""Platforms: `os/architecture[/variant]` (image-spec image-index.md, "platform")."""

import re

from msgspec import Struct

from retinue.errors import RetinueError

_PART = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# What a variant means when it is left out (containerd and Docker agree on these).
_DEFAULT_VARIANT = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


class InvalidPlatform(RetinueError):
    """The text names no platform."""

    def __init__(self, text: str) -> None:
        super().__init__(f"platform {text[:160]!r} is not of the form os/architecture[/variant]")
        self.text = text


class Platform(Struct, frozen=True):
    """What an image runs on. `features` are the required `os.features`."""

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None
    features: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def matches(self, wanted: "Platform") -> bool:
        """Whether an image of this platform is what somebody who asks for `wanted` means.

        A variant left out on one side is the usual one of the architecture; version and features
        count only where `wanted` names them.
        """
        return (
            (self.os, self.architecture) == (wanted.os, wanted.architecture)
            and (wanted.variant is None or _variant(self) == wanted.variant)
            and (wanted.os_version is None or self.os_version == wanted.os_version)
            and set(wanted.features) <= set(self.features)
        )


def _variant(platform: Platform) -> str | None:
    return platform.variant or _DEFAULT_VARIANT.get(platform.architecture)


def parse(text: str) -> Platform:
    """`linux/arm64/v8` to a Platform; raises InvalidPlatform."""
    os, _, rest = text.partition("/")
    architecture, slash, variant = rest.partition("/")
    parts = (os, architecture, variant) if slash else (os, architecture)
    if not all(_PART.fullmatch(part) for part in parts):
        raise InvalidPlatform(text)
    return Platform(os, architecture, variant or None)
