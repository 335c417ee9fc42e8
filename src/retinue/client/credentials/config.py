"""One file of Docker's `config.json` or podman's `auth.json` form: read, looked up, rewritten."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retinue.client.credentials.credential import (
    Credential,
    CredentialsUnreadable,
    IdentityToken,
    Password,
    RegistryToken,
)
from retinue.files import make_folders, write_atomically
from retinue.oci import hosts

if TYPE_CHECKING:
    from retinue.client.credentials.helpers import Helper

MAX_BYTES = 4 * 1024 * 1024
HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"
"""The key under which Docker keeps what is for docker.io."""


def keys(host: str, repository: str | None = None) -> list[str]:
    """Keys under which an entry may stand, the closest first (containers-auth.json(5))."""
    parts = (repository or "").split("/") if repository else []
    paths = ["/".join([host, *parts[:end]]) for end in range(len(parts), 0, -1)]
    hub = [HUB_KEY, "index.docker.io", "registry-1.docker.io"] if host == HUB else []
    urls = [f"https://{host}", f"http://{host}", f"https://{host}/v1/", f"https://{host}/v2/"]
    return [*paths, host, *hub, *urls]


def _spelled(table: Mapping[str, object], wanted: Sequence[str]) -> list[str]:
    """The keys of a table that are among these, or another spelling of one; in the order wanted."""
    spellings: dict[str, list[str]] = {}
    for key in table:
        spellings.setdefault(key, []).insert(0, key)
        spellings.setdefault(_canonical(key), []).append(key)
    found = (key for each in wanted for key in spellings.get(each, ()))
    return list(dict.fromkeys(found))


def _canonical(key: str) -> str:
    """A key whose host is written as references have it."""
    scheme, mark, rest = key.rpartition("://")
    host, slash, path = rest.partition("/")
    try:
        return f"{scheme}{mark}{hosts.canonical(host)}{slash}{path}"
    except hosts.BadHost:
        return key


class Config:
    """A file as it was read; unknown fields survive a rewrite."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.path = path
        self._environ = environ
        self._document = self._load()

    def lookup(self, host: str, repository: str | None = None) -> Credential | None:
        """None: this file knows none. Raises CredentialsUnreadable."""
        helper = self._helper(host)
        if helper is not None:
            found = helper.get(_helper_key(host))
            if found is not None:
                return found
        auths = self._table("auths")
        for key in _spelled(auths, keys(host, repository)):
            entry = auths[key]
            if isinstance(entry, dict) and entry:
                return self._entry(key, entry)
        return None

    def store(self, host: str, credential: Credential) -> None:
        """Into the helper if one is configured for the host, else into the file, mode 0600."""
        auths = dict(self._table("auths"))
        helper = self._helper(host)
        if helper is not None:
            helper.store(_helper_key(host), credential)
            auths[_helper_key(host)] = {}
        else:
            auths[_helper_key(host)] = _encode(credential)
        self._write(auths)

    def erase(self, host: str) -> bool:
        """Whether there was something to forget."""
        helper = self._helper(host)
        held = helper is not None and helper.get(_helper_key(host)) is not None
        if helper is not None and held:
            helper.erase(_helper_key(host))
        auths = dict(self._table("auths"))
        named = _spelled(auths, keys(host))
        for key in named:
            del auths[key]
        if named:
            self._write(auths)
        return held or bool(named)

    def _helper(self, host: str) -> "Helper | None":
        helpers = self._table("credHelpers")
        name = next((helpers[key] for key in _spelled(helpers, keys(host))), None)
        name = name or self._document.get("credsStore")
        if name is None or name == "":
            return None
        if not isinstance(name, str):
            raise CredentialsUnreadable(str(self.path), "the name of a helper must be text")
        from retinue.client.credentials.helpers import Helper

        return Helper(name, self._environ)

    def _table(self, name: str) -> dict[str, Any]:
        table = self._document.get(name)
        if table is None:
            return {}
        if not isinstance(table, dict):
            raise CredentialsUnreadable(str(self.path), f"`{name}` must be an object")
        return table

    def _load(self) -> dict[str, Any]:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as problem:
            raise CredentialsUnreadable(str(self.path), str(problem)) from problem
        try:
            document = json.loads(raw) if len(raw) <= MAX_BYTES and raw.strip() else {}
        except (ValueError, RecursionError) as problem:
            raise CredentialsUnreadable(str(self.path), f"it is no JSON: {problem}") from problem
        if not isinstance(document, dict) or len(raw) > MAX_BYTES:
            raise CredentialsUnreadable(str(self.path), "it holds no JSON object of sane size")
        return document

    def _write(self, auths: dict[str, Any]) -> None:
        document = {**self._document, "auths": auths}
        text = json.dumps(document, indent="\t") + "\n"
        make_folders(self.path.parent)
        write_atomically(self.path.resolve(), text.encode(), 0o600)
        self._document = document

    def _entry(self, key: str, entry: Mapping[str, Any]) -> Credential:
        if isinstance(token := entry.get("identitytoken"), str) and token:
            return IdentityToken(token)
        if isinstance(token := entry.get("registrytoken"), str) and token:
            return RegistryToken(token)
        user, secret = entry.get("username"), entry.get("password")
        if isinstance(auth := entry.get("auth"), str) and auth:
            user, secret = self._pair(key, auth)
        if not isinstance(user, str) or not isinstance(secret, str):
            raise CredentialsUnreadable(str(self.path), f"the entry {key!r} holds no credentials")
        return Password(user, secret)

    def _pair(self, key: str, auth: str) -> tuple[str, str]:
        try:
            text = base64.b64decode(auth, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as problem:
            why = f"the entry {key!r} is not base64 of text"
            raise CredentialsUnreadable(str(self.path), why) from problem
        user, colon, secret = text.partition(":")
        if not colon:
            raise CredentialsUnreadable(str(self.path), f"the entry {key!r} is no user:secret")
        return user, secret.rstrip("\0")


def _helper_key(host: str) -> str:
    return HUB_KEY if host == HUB else host


def _encode(credential: Credential) -> dict[str, str]:
    if isinstance(credential, IdentityToken):
        return {"identitytoken": credential.token}
    if isinstance(credential, RegistryToken):
        return {"registrytoken": credential.token}
    pair = f"{credential.username}:{credential.secret}".encode()
    return {"auth": base64.b64encode(pair).decode()}
