"""Who waits for whom when many passwords are to be checked."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from retinue.registry.access.failures import TooManyFailures
from retinue.registry.access.logins import ALL_USERS, MAX_LANE, MAX_WAITING, Logins, network

GOOD = "right"


class Checker:
    """Checks that begin when they are told to: `order` are the users whose check has begun."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.threads: set[int] = set()
        self._turns = threading.Semaphore(0)
        self.open = False

    def __call__(self, name: str, password: str) -> bool:
        self.threads.add(threading.get_ident())
        self.order.append(name)
        if not self.open:
            assert self._turns.acquire(timeout=30)
        return password == GOOD

    def let(self, count: int) -> None:
        self._turns.release(count)

    def let_all(self) -> None:
        self.open = True
        self._turns.release(10_000)


class World:
    def __init__(self, checker: Checker, failures: int = 3) -> None:
        self.checker = checker
        self.now = 1000.0
        self.logins = Logins(checker, at_once=1, failures=failures, now=lambda: self.now)
        self.asked: list[asyncio.Task[bool]] = []

    async def ask(self, name: str, password: str, peer: str) -> asyncio.Task[bool]:
        """A check that has been entered, and may wait."""
        mark = f"{name}:{password}".encode()
        task = asyncio.create_task(self.logins.check(mark, name, password, peer))
        self.asked.append(task)
        await asyncio.sleep(0)
        return task

    async def fail(self, name: str, peer: str, times: int = 1) -> None:
        for number in range(times):
            assert not await self.logins.check(f"{name}{number}{peer}", name, f"no {number}", peer)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    checker = Checker()
    made = World(checker)
    yield made
    checker.let_all()
    await asyncio.gather(*made.asked, return_exceptions=True)


async def busy(world: World) -> None:
    """Something runs already: what is asked next waits."""
    await world.ask("first", "x", "1.1.1.1")


async def done(world: World) -> list[str]:
    """The order in which checks began, after the first."""
    world.checker.let_all()
    await asyncio.gather(*world.asked, return_exceptions=True)
    return world.checker.order[1:]


async def test_checks_run_in_other_threads(world: World) -> None:
    world.checker.let_all()
    assert await world.logins.check(b"", "ann", GOOD, "1.1.1.1")
    assert threading.get_ident() not in world.checker.threads


async def test_an_address_that_asks_a_lot_does_not_hold_up_others(world: World) -> None:
    await busy(world)
    for number in range(10):
        await world.ask(f"many{number}", "x", "6.6.6.6")
    await world.ask("ann", GOOD, "2.2.2.2")
    assert (await done(world))[:2] == ["many0", "ann"]


async def test_who_has_failed_less_goes_first(world: World) -> None:
    world.checker.let_all()
    for number in range(60):
        await world.fail("eve", f"6.6.6.{number}")
    world.checker.open = False
    world.checker.order.clear()
    world.checker._turns = threading.Semaphore(0)
    await busy(world)
    for number in range(60):
        await world.ask(f"eve{number}", "x", f"6.6.6.{number}")
    await world.ask("ann", GOOD, "2.2.2.2")
    assert (await done(world))[0] == "ann"


async def test_who_was_right_before_from_there_goes_before_all(world: World) -> None:
    world.checker.let(1)
    assert await world.logins.check(b"1", "ann", GOOD, "2.2.2.2")
    world.checker.order.clear()
    await busy(world)
    for number in range(MAX_LANE):
        await world.ask(f"fresh{number}", "x", "2.2.2.2")
    await world.ask("ann", f"{GOOD}?", "2.2.2.2")
    await world.ask("bob", GOOD, "3.3.3.3")
    assert (await done(world))[:3] == ["ann", "fresh0", "bob"]


async def test_the_same_credentials_are_checked_once_at_a_time(world: World) -> None:
    await busy(world)
    tasks = [await world.ask("ann", GOOD, f"2.2.2.{number}") for number in range(50)]
    assert (await done(world)).count("ann") == 1
    assert [await task for task in tasks] == [True] * 50


async def test_failures_are_those_of_one_user_from_one_address(world: World) -> None:
    world.checker.let_all()
    await world.fail("ann", "1.1.1.1", 3)
    with pytest.raises(TooManyFailures):
        await world.logins.check(b"", "ann", GOOD, "1.1.1.1")
    assert await world.logins.check(b"", "bob", GOOD, "1.1.1.1")
    assert await world.logins.check(b"", "ann", GOOD, "2.2.2.2")


async def test_an_address_that_tries_many_users_is_refused_but_not_who_is_known_there(
    world: World,
) -> None:
    world.checker.let_all()
    assert await world.logins.check(b"", "ann", GOOD, "1.1.1.1")
    for number in range(3 * ALL_USERS):
        await world.fail(f"user{number}", "1.1.1.1")
    with pytest.raises(TooManyFailures):
        await world.logins.check(b"", "bob", GOOD, "1.1.1.1")
    assert await world.logins.check(b"", "ann", GOOD, "1.1.1.1")
    assert await world.logins.check(b"", "bob", GOOD, "2.2.2.2")
    world.now += 60
    assert await world.logins.check(b"", "bob", GOOD, "1.1.1.1")


async def test_one_address_may_have_few_checks_waiting(world: World) -> None:
    await busy(world)
    for number in range(MAX_LANE):
        await world.ask(f"many{number}", "x", "6.6.6.6")
    with pytest.raises(TooManyFailures):
        await world.logins.check(b"", "one more", "x", "6.6.6.6")
    assert not (await world.ask("ann", GOOD, "2.2.2.2")).done()


async def test_when_no_more_may_wait_the_worst_is_refused(world: World) -> None:
    world.checker.let_all()
    await world.fail("eve", "6.6.6.6")
    world.checker.open = False
    world.checker._turns = threading.Semaphore(0)
    await busy(world)
    eve = await world.ask("eve", "x", "6.6.6.6")
    for number in range(MAX_WAITING - 1):
        await world.ask(f"u{number}", "x", f"7.{number // 250}.0.{number % 250}")
    ann = await world.ask("ann", GOOD, "2.2.2.2")
    with pytest.raises(TooManyFailures):
        await eve
    with pytest.raises(TooManyFailures):
        await world.logins.check(b"bob", "bob", GOOD, "3.3.3.3")
    assert not ann.done()


async def test_a_check_that_breaks_is_told_and_makes_room() -> None:
    def broken(name: str, _password: str) -> bool:
        if name == "odd":
            raise ZeroDivisionError
        return True

    logins = Logins(broken, at_once=1, failures=3, now=lambda: 0.0)
    with pytest.raises(ZeroDivisionError):
        await logins.check(b"", "odd", "x", "1.1.1.1")
    assert await logins.check(b"", "ann", "x", "1.1.1.1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.2.3.4", "1.2.3.5", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:1.2.3.4", "1.2.3.4", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("peer", "other", False),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) == same
