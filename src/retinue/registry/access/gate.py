"""Who asks, and whether he may: the one question that every request begins with."""
# ruff: noqa: ARG002 -- the open gate looks at nobody

import base64
import binascii
import hashlib
import hmac
import logging
from collections import OrderedDict
from collections.abc import Callable

from retinue.errors import RetinueError
from retinue.registry.access import htpasswd
from retinue.registry.access.logins import Logins
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Action, Rules
from retinue.registry.metrics import LOGINS, Metrics

REALM = "retinue"
MAX_REMEMBERED = 10_000
LOOK_SECONDS = 1.0

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


class Gate:
    """Authentication and permission. `open`: anybody may do anything."""

    open = False

    def __init__(
        self,
        users: htpasswd.UserFile | None,
        rules: Rules,
        *,
        failures: int,
        checks: int,
        key: bytes,
        now: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        """`users` None: rules for anonymous requests alone, every password is wrong.

        `failures` per minute, user and address; `checks` of passwords at the same time; `key` is
        random for this process; `now` monotonic.
        """
        self._users = users
        self._rules = rules
        self._key = key
        self._now = now
        self._metrics = metrics
        self._looked = now()
        self._logins = Logins(self._matches, at_once=checks, failures=failures, now=now)
        self._remembered: OrderedDict[bytes, Principal] = OrderedDict()

    async def identify(self, authorization: str | None, peer: str) -> Principal:
        """Raises Unauthenticated, TooManyFailures.

        Credentials that were right are, until the users change: they wait for no check.
        """
        if authorization is None:
            return ANONYMOUS
        self._look()
        mark = hmac.digest(self._key, authorization.encode("latin-1"), hashlib.sha256)
        known = self._remembered.get(mark)
        if known is not None:
            return known
        name, password = _basic(authorization)
        generation = self._generation()
        right = await self._logins.check((mark, generation), name, password, peer)
        self._metrics.add(LOGINS, 1, "right" if right else "wrong")
        if not right:
            raise Unauthenticated
        principal = Principal(name)
        if generation == self._generation():
            self._remember(mark, principal)
        return principal

    def _remember(self, mark: bytes, principal: Principal) -> None:
        self._remembered[mark] = principal
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    def recall(self, authorization: str | None) -> Principal | None:
        """What `identify` would say, if that takes no work; None is no answer. From any thread."""
        if authorization is None:
            return ANONYMOUS
        if self._users is not None and self._now() - self._looked >= LOOK_SECONDS:
            return None
        mark = hmac.digest(self._key, authorization.encode("latin-1"), hashlib.sha256)
        return self._remembered.get(mark)

    def allows(self, principal: Principal, action: Action, name: str) -> bool:
        return self._rules.allow(principal, action, name)

    def globs(self, principal: Principal, action: Action) -> tuple[str, ...]:
        """Patterns of the repositories to which `principal` may do this."""
        return self._rules.globs(principal, action)

    def _generation(self) -> int:
        return 0 if self._users is None else self._users.generation

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
    if not colon or len(name) > htpasswd.MAX_NAME or len(password) > htpasswd.MAX_PASSWORD:
        raise Unauthenticated
    return name, password
