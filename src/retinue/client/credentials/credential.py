"""What proves to a registry who we are. None of these shows its secret when printed."""

from typing import TypeAlias

from msgspec import Struct

from retinue.errors import RetinueError


class Password(Struct, frozen=True):
    username: str
    secret: str

    def __repr__(self) -> str:
        return f"Password(username={self.username!r})"


class IdentityToken(Struct, frozen=True):
    """An OAuth2 refresh token: the token server gives access tokens for it."""

    token: str

    def __repr__(self) -> str:
        return "IdentityToken()"


class RegistryToken(Struct, frozen=True):
    """An access token that goes to the registry as it is."""

    token: str

    def __repr__(self) -> str:
        return "RegistryToken()"


Credential: TypeAlias = Password | IdentityToken | RegistryToken


class CredentialsUnreadable(RetinueError):
    """A file or helper that should hold credentials cannot be used: not the same as holding none."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"credentials in {where} cannot be used: {why}")
        self.where = where
        self.why = why
