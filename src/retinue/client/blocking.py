"""The synchronous face, for scripts: the same stores and copies without `async`."""

import os
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from retinue.client import transfer
from retinue.client.client import Client, mount_from
from retinue.client.copy import CopyReport, Wanted
from retinue.client.copy import copy as copy_async
from retinue.client.credentials.files import lookup
from retinue.client.transfer import Progress
from retinue.client.transport import Settings, Transport
from retinue.oci.digest import Digest
from retinue.oci.platform import Platform
from retinue.oci.reference import Location, parse_location
from retinue.oci.stores import Search

T = TypeVar("T")


def run(work: Callable[[Client], Coroutine[Any, Any, T]], settings: Settings | None = None) -> T:
    """Do something with a client in a loop of its own; not from within another loop."""
    import uvloop

    async def inside() -> T:
        chosen = settings or Settings(environ=os.environ)
        transport = Transport(chosen, random=random.random)
        credentials = partial(lookup, environ=chosen.environ)
        async with Client(transport, credentials) as client:
            return await work(client)

    return uvloop.run(inside())


def tags(location: str, settings: Settings | None = None) -> list[str]:
    """The tags of a repository, layout or archive."""

    async def work(client: Client) -> list[str]:
        async with client.source(parse_location(location)) as source:
            return [tag async for tag in source.tags()]

    return run(work, settings)


def papers(location: str, settings: Settings | None = None) -> tuple[Digest, Search]:
    """What a reference names, and the papers about it. Raises ReferenceUnknown."""
    from retinue.client.closure import find_roots

    where = parse_location(location)

    async def work(client: Client) -> tuple[Digest, Search]:
        async with client.source(where) as source:
            reference = where.digest or where.tag or "latest"
            [digest] = await find_roots(source, [reference], None, papers=True)
            return digest, (await source.papers([digest]))[digest]

    return run(work, settings)


def copy(
    source: str,
    sink: str,
    *,
    papers: bool = True,
    platform: Platform | None = None,
    progress: Progress = transfer.silent,
    settings: Settings | None = None,
) -> CopyReport:
    """Copy one reference with its papers; the sink's tag, else the source's, is put last."""
    origin, target = parse_location(source), parse_location(sink)
    wanted = [Wanted(origin.digest or origin.tag or "latest", _names(origin, target))]

    async def work(client: Client) -> CopyReport:
        async with client.source(origin) as opened, client.sink(target) as into:
            return await copy_async(
                opened,
                into,
                wanted,
                papers=papers,
                platform=platform,
                mount_from=mount_from(origin, target),
                progress=progress,
            )

    return run(work, settings)


def _names(origin: Location, target: Location) -> tuple[str, ...]:
    """By digest to no tag: nothing is named."""
    if target.tag is not None:
        return (target.tag,)
    if target.digest is not None or origin.digest is not None:
        return ()
    return (origin.tag or "latest",)
