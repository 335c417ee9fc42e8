"""Users and password hashes in an htpasswd file: bcrypt and argon2."""

import re
from pathlib import Path

from retinue.errors import RetinueError
from retinue.registry.access.rules import EVERYBODY, USERS

MAX_FILE = 16 << 20
MAX_NAME = 255
MAX_PASSWORD = 1024
BCRYPT_MAX = 72
"""bcrypt reads no more than this; every implementation cuts here."""

_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_ARGON2 = re.compile(r"\$argon2(?:id|i|d)\$[A-Za-z0-9+/=,$.-]{8,512}")


class BadUsers(RetinueError):
    """The file of users is missing or has a line that cannot be used."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


def parse(path: Path, text: str) -> dict[str, str]:
    """Users and hashes; raises BadUsers. Weak schemes are refused, not skipped."""
    users: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        name, colon, hashed = entry.partition(":")
        if not name or not colon:
            raise BadUsers(path, number, "expected USER:HASH")
        if len(name) > MAX_NAME:
            raise BadUsers(path, number, f"the name is longer than {MAX_NAME} characters")
        if name in (EVERYBODY, USERS):
            raise BadUsers(path, number, f"{name!r} has a meaning of its own in rules")
        if name in users:
            raise BadUsers(path, number, f"{name!r} is there twice")
        if not _BCRYPT.fullmatch(hashed) and not _ARGON2.fullmatch(hashed):
            raise BadUsers(path, number, "the hash is neither bcrypt (htpasswd -B) nor argon2")
        users[name] = hashed
    return users


def matches(password: str, hashed: str) -> bool:
    """Slow by design (tens of milliseconds of a core): call it off the event loop."""
    secret = password.encode()
    if len(secret) > MAX_PASSWORD or b"\x00" in secret:
        return False
    if hashed.startswith("$argon2"):
        return _argon2(secret, hashed)
    import bcrypt

    return bcrypt.checkpw(secret[:BCRYPT_MAX], hashed.encode("ascii"))


def _argon2(secret: bytes, hashed: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(hashed, secret)
    except (VerificationError, InvalidHashError):
        return False  # the library's way to say no


class UserFile:
    """The users of one file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Raises BadUsers."""
        self.path = path
        self.generation = 0
        self._seen = self._stamp()
        self._users = self._load()

    def changed(self) -> bool:
        """Look whether the file is another one, and take it; raises BadUsers (and keeps the old).

        A file that is broken counts as seen: it is reported once, and looked at again when it
        changes again.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        self._users = self._load()
        self.generation += 1
        return True

    def hash_of(self, name: str) -> str | None:
        return self._users.get(name)

    def any_hash(self) -> str | None:
        """Some hash of the file: checking it costs what checking an existing user costs."""
        return next(iter(self._users.values()), None)

    def _stamp(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError as problem:
            raise BadUsers(self.path, 0, str(problem)) from problem
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _load(self) -> dict[str, str]:
        try:
            with self.path.open("rb") as file:
                text = file.read(MAX_FILE + 1).decode("utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise BadUsers(self.path, 0, str(problem)) from problem
        if len(text) > MAX_FILE:
            raise BadUsers(self.path, 0, f"the file is larger than {MAX_FILE} bytes")
        return parse(self.path, text)
