"""From what the user typed to stores: how registries are reached, and what a reference names."""

import argparse
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from retinue import __version__
from retinue.cli.problems import BadUsage, Missing
from retinue.client.client import Client
from retinue.client.credentials.files import lookup
from retinue.client.transport import Settings, Transport
from retinue.oci import hosts
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.reference import Layout, Location, Reference, parse
from retinue.oci.stores import Source
from retinue.oci.tags import implied
from retinue.papers.tagplace import keeps_place

if TYPE_CHECKING:
    from retinue.client.guard import Guard
    from retinue.client.layout_folder import LayoutFolder
    from retinue.client.remote import Remote

Writable: TypeAlias = "Remote | LayoutFolder"
"""What is changed in place: tags are set and removed, papers are added."""


def transport(args: argparse.Namespace, guard: "Guard | None" = None) -> Transport:
    """The transport that the options of `options.network` describe."""
    settings = Settings(
        environ=os.environ,
        ca_files=tuple(args.ca_file),
        plain=frozenset(map(_canonical, args.plain_http)),
        guard=guard,
        token_servers=frozenset(map(_token_server, args.token_server)),
        user_agent=f"retinue/{__version__}",
    )
    return Transport(settings, random=random.random)


def _canonical(host: str) -> str:
    try:
        return hosts.canonical(host)
    except hosts.BadHost:
        raise BadUsage(f"{host[:160]!r} is no registry", "give HOST or HOST:PORT") from None


def _token_server(text: str) -> tuple[str, str]:
    registry, equals, server = text.partition("=")
    if not equals or not server or ":" in server or "/" in server:
        raise BadUsage(f"{text[:160]!r} names no token server", "give REGISTRY=HOST, without port")
    return _canonical(registry), server.lower()


def client(args: argparse.Namespace, *, brief: bool = False) -> Client:
    """The client with the credentials that Docker and podman have kept."""
    return Client(transport(args), partial(lookup, environ=os.environ), brief=brief)


def guarded(args: argparse.Namespace) -> Client:
    """The client of a gate: it calls its own machine only for registries that are named."""
    from retinue.client.guard import Guard

    guard = Guard(map(_canonical, (*args.plain_http, *args.local_registry)))
    return Client(transport(args, guard), partial(lookup, environ=os.environ))


@asynccontextmanager
async def writable(reached: Client, location: Location) -> AsyncIterator[Writable]:
    """A repository of a registry, or a layout that is there; raises BadUsage for archives."""
    if isinstance(location, Reference):
        yield reached.remote(location.host, location.repository)
    elif isinstance(location, Layout):
        from retinue.client.layout_folder import open_layout

        async with open_layout(Path(location.path), make=False) as layout:
            yield layout
    else:
        raise BadUsage(f"{location} cannot be changed in place", "copy it to oci:DIR first")


def papers_in(args: argparse.Namespace) -> list[str]:
    """The repositories that keep papers for others, by option and environment."""
    other = os.environ.get("COSIGN_REPOSITORY")
    return [*args.papers_in, other] if other else list(args.papers_in)


def joined(args: argparse.Namespace, reached: Client, source: Source) -> Source:
    """The source, with the papers that are kept elsewhere."""
    named = [parse(name) for name in papers_in(args)]
    if not named:
        return source
    from retinue.client.joined import Joined

    return Joined(source, [reached.remote(each.host, each.repository) for each in named])


async def name_in(store: Source, location: Location) -> str:
    """The digest or tag that a location names in its store.

    A registry's default is `latest`; a layout or archive that holds one image needs no name.
    """
    if isinstance(location, Reference):
        return location.target
    if location.digest or location.tag:
        return str(location.digest or location.tag)
    tags = [tag async for tag in store.tags() if implied(tag) is None and not keeps_place(tag)]
    names = tags or _roots(store)
    if len(names) != 1:
        some = ", ".join(tags[:5]) or "none has a tag"
        raise BadUsage(
            f"{location} holds {len(names)} images ({some})", f"name one: {location}:TAG"
        )
    return names[0]


def _roots(store: Source) -> Sequence[str]:
    """What a store on disk holds that is no paper."""
    from retinue.client.docker_archive import DockerArchiveSource  # registries need neither
    from retinue.client.layout import LayoutSource

    if isinstance(store, LayoutSource):
        return store.roots()
    return store.roots() if isinstance(store, DockerArchiveSource) else ()


async def find(store: Source, location: Location) -> Digest:
    """The digest of what a location names; raises Missing. A digest is taken as it is."""
    name = await name_in(store, location)
    if ":" in name:
        return Digest(name)
    digest = await store.resolve(name)
    if digest is None:
        raise missing(location, name)
    return digest


async def find_manifest(store: Source, location: Location) -> Manifest:
    """What a location names, read; raises Missing, Unreadable."""
    digest = await find(store, location)
    found = (await store.manifests([digest]))[digest]
    if found is None:
        raise missing(location, digest)
    if not isinstance(found, Manifest):
        raise found
    return found


def missing(location: Location, name: str) -> Missing:
    kind = "manifest" if ":" in name else "tag"
    where = str(location)
    if isinstance(location, Reference):
        where = location.place
    return Missing(f"{kind} {name!r}", where, f"see what is there: retinue list {where}")
