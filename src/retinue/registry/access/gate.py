"""Who asks, and whether he may: the one question that every request begins with."""
# ruff: noqa: ARG002 -- the open gate looks at nobody

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
from collections import OrderedDict
from collections.abc import Callable

from retinue.errors import RetinueError
from retinue.registry.access import htpasswd
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Action, Rules
from retinue.registry.metrics import LOGINS, Metrics

REALM = "retinue"
REMEMBERED_SECONDS = 300.0
MAX_REMEMBERED = 10_000
MAX_ADDRESSES = 10_000
LOOK_SECONDS = 1.0
AT_ONCE = 2
"""Password checks at the same time: each takes a core and, with argon2, up to 64 MiB."""
WAITING = 64

_log = logging.getLogger("retinue.access")


class Unauthenticated(RetinueError):
    """Credentials are needed, or those that came are wrong; which of the two is not said."""

    def __init__(self) -> None:
        super().__init__("authentication required")


class Denied(RetinueError):
    """Known, and not allowed."""

    def __init__(self, principal: str, action: str, name: str) -> None:
        super().__init__(f"{principal} may not {action} {name!r}")
        self.principal = principal
        self.action = action
        self.name = name


class TooManyFailures(RetinueError):
    """Too many wrong passwords came from this address. `wait` in seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"too many failed logins; try again in {wait} seconds")
        self.wait = wait


class Gate:
    """Authentication and permission. `open`: anybody may do anything."""

    open = False

    def __init__(
        self,
        users: htpasswd.UserFile | None,
        rules: Rules,
        *,
        failures: int,
        key: bytes,
        now: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        """`users` None: rules for anonymous requests alone, every password is wrong.

        `failures` per minute and address; `key` is random for this process; `now` monotonic.
        """
        self._users = users
        self._rules = rules
        self._key = key
        self._now = now
        self._metrics = metrics
        self._looked = now()
        self._failures = Failures(failures, now)
        self._remembered: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def identify(self, authorization: str | None, peer: str) -> Principal:
        """Raises Unauthenticated, TooManyFailures."""
        if authorization is None:
            return ANONYMOUS
        self._look()
        mark = hmac.digest(self._key, authorization.encode("latin-1"), hashlib.sha256)
        known = self._remembered.get(mark)
        if known is not None and known[1] > self._now():
            return known[0]
        principal = await self._check(*_basic(authorization), peer)
        self._remembered[mark] = principal, self._now() + REMEMBERED_SECONDS
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return principal

    def recall(self, authorization: str | None) -> Principal | None:
        """What `identify` would say, if that takes no work; None is no answer. From any thread."""
        if authorization is None:
            return ANONYMOUS
        if self._users is not None and self._now() - self._looked >= LOOK_SECONDS:
            return None
        mark = hmac.digest(self._key, authorization.encode("latin-1"), hashlib.sha256)
        known = self._remembered.get(mark)
        return known[0] if known is not None and known[1] > self._now() else None

    def allows(self, principal: Principal, action: Action, name: str) -> bool:
        return self._rules.allow(principal, action, name)

    def globs(self, principal: Principal, action: Action) -> tuple[str, ...]:
        """Patterns of the repositories to which `principal` may do this."""
        return self._rules.globs(principal, action)

    async def _check(self, name: str, password: str, peer: str) -> Principal:
        self._failures.refuse(peer)
        if self._waiting >= WAITING:
            raise TooManyFailures(1)
        self._waiting += 1
        try:
            async with self._slots:
                right = await asyncio.to_thread(self._matches, name, password)
        finally:
            self._waiting -= 1
        self._metrics.add(LOGINS, 1, "right" if right else "wrong")
        if not right:
            self._failures.count(peer)
            raise Unauthenticated
        return Principal(name)

    def _matches(self, name: str, password: str) -> bool:
        if self._users is None:
            return False
        hashed = self._users.hash_of(name)
        if hashed is not None:
            return htpasswd.matches(password, hashed)
        if (other := self._users.any_hash()) is not None:
            htpasswd.matches(password, other)  # an unknown user takes as long as a known one
        return False

    def _look(self) -> None:
        if self._users is None or self._now() - self._looked < LOOK_SECONDS:
            return
        self._looked = self._now()
        try:
            if self._users.changed():
                self._remembered.clear()
        except htpasswd.BadUsers as problem:
            _log.error("the users stay as they were: %s", problem)


class OpenGate(Gate):
    """On loopback, or where the configuration says so: nobody is asked who he is."""

    open = True

    def __init__(self) -> None:
        pass

    async def identify(self, authorization: str | None, peer: str) -> Principal:
        return ANONYMOUS

    def recall(self, authorization: str | None) -> Principal:
        return ANONYMOUS

    def allows(self, principal: Principal, action: Action, name: str) -> bool:
        return True

    def globs(self, principal: Principal, action: Action) -> tuple[str, ...]:
        return ("*",)


def _basic(authorization: str) -> tuple[str, str]:
    """User and password (RFC 7617); raises Unauthenticated."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated
    try:
        name, colon, password = (
            base64.b64decode(token.strip(), validate=True).decode().partition(":")
        )
    except (binascii.Error, UnicodeDecodeError) as problem:
        raise Unauthenticated from problem
    if not colon:
        raise Unauthenticated
    return name, password


class Failures:
    """Failed logins per address: a bucket that leaks `limit` per minute."""

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def refuse(self, address: str) -> None:
        """Raises TooManyFailures."""
        level = self._level(address)
        if level > self._limit - 1:
            raise TooManyFailures(int((level - self._limit + 1) * 60 / self._limit) + 1)

    def count(self, address: str) -> None:
        self._levels[address] = self._level(address) + 1, self._now()
        self._levels.move_to_end(address)
        while len(self._levels) > MAX_ADDRESSES:
            self._levels.popitem(last=False)

    def _level(self, address: str) -> float:
        level, since = self._levels.get(address, (0.0, 0.0))
        return max(0.0, level - (self._now() - since) * self._limit / 60)
