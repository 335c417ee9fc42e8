"""Doing many things at once, with a bound, and telling how it goes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct

from retinue.oci.digest import Digest

T = TypeVar("T")


class How(StrEnum):
    """How content came to be where it should be."""

    SENT = "sent"
    MOUNTED = "mounted"
    PRESENT = "present"


class Planned(Struct, frozen=True):
    """What a copy comes to: numbers of blobs and manifests, and the blobs' bytes (as stated)."""

    blobs: int
    size: int
    manifests: int


class Advanced(Struct, frozen=True):
    """So many more bytes of a blob went through. A repeated blob takes bytes back (negative)."""

    digest: Digest
    count: int


class Done(Struct, frozen=True):
    """A blob or manifest is there; `size` in bytes."""

    digest: Digest
    size: int
    how: How


class Tagged(Struct, frozen=True):
    tag: str
    digest: Digest


Event: TypeAlias = Planned | Advanced | Done | Tagged
Progress: TypeAlias = Callable[[Event], None]


def silent(_: Event) -> None:
    """The progress that nobody watches."""


@asynccontextmanager
async def group() -> AsyncIterator[asyncio.TaskGroup]:
    """Tasks that end together. The first failure stops the others and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as failures:
        raise _first(failures) from None


async def together(tasks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order, or the first failure."""
    waiting = list(tasks)
    if len(waiting) == 1:  # as most are: it needs no task of its own
        return [await waiting[0]]
    async with group() as started:
        running = [started.create_task(task) for task in waiting]
    return [task.result() for task in running]


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def bounded(tasks: Sequence[Callable[[], Coroutine[Any, Any, T]]], limit: int) -> list[T]:
    """Like `together`, with at most `limit` under way. Tasks start in order."""
    places = asyncio.Semaphore(limit)

    async def run(task: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with places:
            return await task()

    return await together(run(task) for task in tasks)


async def one(data: bytes) -> AsyncIterator[bytes]:
    """Bytes as a stream."""
    yield data


async def watched(
    digest: Digest, chunks: AsyncIterator[bytes], progress: Progress
) -> AsyncIterator[bytes]:
    """The same chunks, each told about."""
    async for chunk in chunks:
        yield chunk
        progress(Advanced(digest, len(chunk)))
