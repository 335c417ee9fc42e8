"""The stepping itself: it shows what goes wrong without a lock, and that the locks prevent it."""

from collections.abc import Callable

import pytest

from model.stepping import Blocked, interleave, opened, schedules, stepped
from retinue.errors import RetinueError
from retinue.registry.catalog import locks
from retinue.registry.catalog.db import Catalog, Change, Sql

FIND = Sql("select until from hold where name = :name")
PUT = Sql("insert into hold (name, until) values (:name, :until)")
SET = Sql("update hold set until = :until where name = :name")
DROP = Sql("delete from hold where name = :name")


class Gone(RetinueError):
    pass


def unlocked(_repository: int) -> Change[None]:
    yield from ()


def attach(lock: Callable[[int], Change[None]]) -> Callable[[], Change[None]]:
    """What a push does: refer to a blob that is there."""

    def change() -> Change[None]:
        yield from lock(1)
        if not (yield FIND, ("blob",)):
            raise Gone
        yield PUT, ("link", 1)

    return change


def collect(lock: Callable[[int], Change[None]]) -> Callable[[], Change[None]]:
    """What a collector does: drop a blob to which nothing refers."""

    def change() -> Change[None]:
        yield from lock(1)
        if not (yield FIND, ("link",)):
            yield DROP, ("blob",)

    return change


async def dangles(catalog: Catalog) -> bool:
    link = await catalog.one(FIND, "link")
    return link is not None and await catalog.one(FIND, "blob") is None


async def reset(catalog: Catalog) -> None:
    def change() -> Change[None]:
        yield DROP, ("link",)
        yield DROP, ("blob",)
        yield PUT, ("blob", 1)

    await catalog.commit(change)


async def dangling(database: str, catalog: Catalog, *, locked: bool) -> int:
    shared = locks.shared if locked else unlocked
    exclusive = locks.exclusive if locked else unlocked
    found = 0
    async with opened(database) as sessions:
        for schedule in schedules(4, 4):
            await reset(catalog)
            await interleave(sessions, attach(shared), collect(exclusive), schedule)
            found += await dangles(catalog)
    return found


async def test_with_locks_no_interleaving_leaves_a_dangling_link(
    database: str, catalog: Catalog
) -> None:
    assert await dangling(database, catalog, locked=True) == 0


async def test_without_locks_postgres_leaves_one_and_sqlite_does_not(
    database: str, catalog: Catalog
) -> None:
    found = await dangling(database, catalog, locked=False)
    assert (found == 0) is database.startswith("sqlite:")


async def test_a_step_that_meets_a_lock_says_so_and_goes_on_later(
    database: str, catalog: Catalog
) -> None:
    await reset(catalog)

    def change() -> Change[str]:
        yield SET, (2, "blob")
        return "done"

    async with stepped(database, change, change) as (first, second):
        assert await first.step()
        assert not await second.step()
        assert not await second.step()
        assert (await first.finish()).result == "done"
        assert (await second.finish()).result == "done"


async def test_finish_does_not_wait_for_a_lock(database: str, catalog: Catalog) -> None:
    await reset(catalog)

    def change() -> Change[None]:
        yield SET, (2, "blob")

    async with stepped(database, change, change) as (first, second):
        await first.step()
        with pytest.raises(Blocked):
            await second.finish()
        await first.finish()
        await second.finish()


async def test_what_a_change_raises_is_its_outcome(database: str, catalog: Catalog) -> None:
    def change() -> Change[None]:
        yield PUT, ("link", 1)
        raise Gone

    async with stepped(database, change) as (only,):
        assert isinstance((await only.finish()).error, Gone)
    assert await catalog.one(FIND, "link") is None


async def test_a_deadlock_is_run_again(database: str, catalog: Catalog) -> None:
    await reset(catalog)

    def change(names: str) -> Callable[[], Change[str]]:
        def steps() -> Change[str]:
            for name in names:
                yield SET, (5, name)
            return names

        return steps

    def two() -> Change[None]:
        yield PUT, ("a", 1)
        yield PUT, ("b", 1)

    await catalog.commit(two)
    async with opened(database) as sessions:
        one, other = await interleave(sessions, change("ab"), change("ba"), [0, 1, 0, 1, 0, 1])
    assert (one.result, other.result) == ("ab", "ba")


def test_schedules_are_all_of_them() -> None:
    assert sorted(map(list, schedules(2, 1))) == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
