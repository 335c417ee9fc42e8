"""`retinue list`: the repositories of a registry, or the tags of a repository.

Tags that tools make from digests (sha256-...) hold papers; `retinue tree` shows
those, and --all lists them here too.

  retinue list registry.example.com
  retinue list registry.example.com/app
  retinue list oci:backup
"""

import argparse

from retinue.cli import options
from retinue.cli.output import note
from retinue.cli.problems import Missing
from retinue.cli.render import clean, emit


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "where",
        metavar="WHERE",
        help="HOST[:PORT], HOST/REPOSITORY, oci:DIR, oci-archive:FILE or docker-archive:FILE",
    )
    parser.add_argument(
        "--recursive", action="store_true", help="with a registry: the tags of every repository"
    )
    parser.add_argument("--all", action="store_true", help="also tags that hold papers")
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    if _is_host(args.where):
        found = asyncio.run(_repositories(args))
        lines = [f"{name}:{tag}" for name, tags in found.items() for tag in tags or ()]
        data = found if args.recursive else list(found)
        lines = lines if args.recursive else list(found)
        emit({"repositories": data}, "\n".join(map(clean, lines)), as_json=args.json)
    else:
        tags = asyncio.run(_tags(args))
        emit({"tags": tags}, "\n".join(map(clean, tags)), as_json=args.json)
        if not tags:
            note(f"retinue: {clean(args.where)} has no tags")
    return 0


def _is_host(text: str) -> bool:
    """Whether this names a whole registry. A bare word is a host, not an image of docker.io."""
    return "/" not in text and not text.startswith(("oci:", "oci-archive:", "docker-archive:"))


async def _repositories(args: argparse.Namespace) -> dict[str, list[str] | None]:
    from retinue.cli.login import host_of
    from retinue.cli.reach import client
    from retinue.client.registry import repositories

    host = host_of(args.where)
    async with client(args) as reached:
        names = [name async for name in repositories(reached.registry(host))]
        if not args.recursive:
            return dict.fromkeys(names)
        return {
            name: [t async for t in reached.remote(host, name).tags() if _shown(t, args)]
            for name in names
        }


async def _tags(args: argparse.Namespace) -> list[str]:
    from retinue.cli.reach import client
    from retinue.client.remote import Remote
    from retinue.oci.reference import parse_location

    location = parse_location(args.where)
    async with client(args) as reached, reached.source(location) as store:
        tags = [tag async for tag in store.tags() if _shown(tag, args)]
        if not tags and isinstance(store, Remote) and not await store.is_known():
            remedy = f"see what is there: retinue list {store.host}"
            raise Missing(f"repository {store.name!r}", store.host, remedy)
        return tags


def _shown(tag: str, args: argparse.Namespace) -> bool:
    from retinue.oci.tags import implied

    return args.all or implied(tag) is None
