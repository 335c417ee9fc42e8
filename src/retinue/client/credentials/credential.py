"""What proves to a registry who we are. None of these shows its secret when printed."""

from dataclasses import dataclass, field
from typing import TypeAlias

from retinue.errors import RetinueError


@dataclass(frozen=True, slots=True)
class Password:
    username: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdentityToken:
    """An OAuth2 refresh token: the token server gives access tokens for it."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RegistryToken:
    """An access token that goes to the registry as it is."""

    token: str = field(repr=False)


Credential: TypeAlias = Password | IdentityToken | RegistryToken


class CredentialsUnreadable(RetinueError):
    """A file or helper that should hold credentials cannot be used: not the same as holding none."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"credentials in {where} cannot be used: {why}")
        self.where = where
        self.why = why
