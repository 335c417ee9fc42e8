"""Password checks: few at a time, never on the event loop, and fair among those who ask for them.

A check takes a core for tens of milliseconds, by design. Whoever sends wrong passwords must not
make others wait for long, nor have them refused:

- failures are counted for each user *and* address; an address has a larger limit for all its users,
- checks wait in a lane for each address, and those of the address with the fewest failures go first,
- a user who was right before, from the same address, has a lane of his own, before all others,
- requests that bring the same credentials at once share one check.
"""

import asyncio
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import TypeAlias

from retinue.registry.access.failures import Failures, TooManyFailures

ALL_USERS = 10
"""How many times the failures of one user an address may have for all of them."""
MAX_KNOWN = 10_000
MAX_LANE = 16
"""Checks of one address that wait."""
MAX_WAITING = 1024
WAIT_SECONDS = 20.0
NICE = 5
"""Checks give way to whatever else the machine has to do."""

Lane: TypeAlias = tuple[str, str]
"""An address, and a user who was right before; or "" for all others."""


class Check:
    """One that waits or runs; several requests may wait for it."""

    def __init__(self, name: str, password: str, result: "asyncio.Future[bool]") -> None:
        self.name = name
        self.password = password
        self.result = result


class Logins:
    """Of one process; used in its event loop's thread.

    `matches` says whether a password is a user's; `at_once` run at the same time; `failures` per
    minute, user and address.
    """

    def __init__(
        self,
        matches: Callable[[str, str], bool],
        *,
        at_once: int,
        failures: int,
        now: Callable[[], float],
    ) -> None:
        self._matches = matches
        self._free = at_once
        self._pool = ThreadPoolExecutor(at_once, "password", initializer=_give_way)
        self._by_user = Failures(failures, now)
        self._by_address = Failures(failures * ALL_USERS, now)
        self._known: OrderedDict[Lane, None] = OrderedDict()
        self._checks: dict[Hashable, Check] = {}
        self._lanes: OrderedDict[Lane, deque[Check]] = OrderedDict()
        self._waiting = 0

    async def check(self, mark: Hashable, name: str, password: str, peer: str) -> bool:
        """Whether they are right; `mark` stands for both, and for the users as they are now.

        Raises TooManyFailures.
        """
        address = network(peer)
        pair = f"{address} {name}"
        known = (address, name) in self._known
        self._by_user.refuse(pair)
        if not known:
            self._by_address.refuse(address)
        lane = (address, name if known else "")
        shared = self._checks.get(mark)
        check = shared or self._enter(mark, lane, name, password)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                right = await asyncio.shield(check.result)
        except TimeoutError as problem:
            raise TooManyFailures(1) from problem
        if right:
            self._know(address, name)
        elif shared is None:
            self._by_user.count(pair)
            self._by_address.count(address)
        return right

    def _know(self, address: str, name: str) -> None:
        self._known[address, name] = None
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def _enter(self, mark: Hashable, lane: Lane, name: str, password: str) -> Check:
        """Raises TooManyFailures."""
        if len(self._lanes.get(lane, ())) >= MAX_LANE:
            raise TooManyFailures(1)
        if self._waiting >= MAX_WAITING:
            self._drop_below(lane)
        check = Check(name, password, asyncio.get_running_loop().create_future())
        check.result.add_done_callback(lambda _: self._checks.pop(mark))
        self._checks[mark] = check
        self._lanes.setdefault(lane, deque()).append(check)
        self._waiting += 1
        self._next()
        return check

    def _drop_below(self, lane: Lane) -> None:
        """Refuse the last check of the worst lane, if it is worse than this one, or this one."""
        worst = max(self._lanes, key=self._rank)
        if self._rank(worst) <= self._rank(lane):
            raise TooManyFailures(1)
        check = self._take(worst, last=True)
        check.result.set_exception(TooManyFailures(1))
        check.result.exception()  # nobody may be waiting for it any more

    def _rank(self, lane: Lane) -> tuple[bool, int]:
        """Less goes first."""
        return lane[1] == "", int(self._by_address.level(lane[0]))

    def _take(self, lane: Lane, *, last: bool = False) -> Check:
        """Its lane goes to the end of those of its rank."""
        checks = self._lanes.pop(lane)
        check = checks.pop() if last else checks.popleft()
        if checks:
            self._lanes[lane] = checks
        self._waiting -= 1
        return check

    def _next(self) -> None:
        """Begin with what goes first, as long as there is room."""
        while self._free and self._lanes:
            check = self._take(min(self._lanes, key=self._rank))
            self._free -= 1
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._pool, self._matches, check.name, check.password)
            running.add_done_callback(partial(self._end, check))

    def _end(self, check: Check, done: "asyncio.Future[bool]") -> None:
        self._free += 1
        problem = done.exception()
        if problem is None:
            check.result.set_result(done.result())
        else:
            check.result.set_exception(problem)
            check.result.exception()
        self._next()


@lru_cache(maxsize=4096)
def network(peer: str) -> str:
    """What stands for one client: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer  # a server without addresses (a test, a socket file): as it calls him
    if address.version == 4:
        return str(address)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or (int(address) >> 64))


def _give_way() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
