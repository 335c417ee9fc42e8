"""What sign and attest have in common: the signer, and what is signed and where it goes."""

import argparse
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from retinue.cli import hands, options

if TYPE_CHECKING:
    from retinue.cli.reach import Writable
    from retinue.client.client import Client
    from retinue.oci.manifest import Manifest
    from retinue.oci.reference import Location
    from retinue.papers.attach import Attached

AT_ONCE = 8
"""Images that are worked on at the same time."""
FORMATS: Mapping[str, str] = {
    "bundle": "a referrer, as cosign 3",
    "legacy": "at a tag, as cosign 2",
    "both": "as either",
}


def arguments(parser: argparse.ArgumentParser, formats: Mapping[str, str] = FORMATS) -> None:
    parser.add_argument("references", metavar="REFERENCE", nargs="+", help=options.REFERENCE)
    hands.arguments(parser)
    parser.add_argument(
        "--format",
        choices=list(formats),
        default="bundle",
        help="; ".join(f"{name}: {what}" for name, what in formats.items()) + " [bundle]",
    )
    parser.add_argument(
        "-r", "--recursive", action="store_true", help="of an index, every image too"
    )
    options.platform(parser)
    parser.add_argument(
        "--papers-in",
        metavar="HOST/REPOSITORY",
        default=os.environ.get("COSIGN_REPOSITORY"),
        help="put the papers there instead of beside the image [$COSIGN_REPOSITORY]",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    for name in ("--tlog-upload", "--use-signing-config", "--new-bundle-format"):
        parser.add_argument(name, nargs="?", const="true", help=argparse.SUPPRESS)
    options.json(parser)
    options.network(parser)


class Work(Struct, frozen=True):
    """One image of a reference: what is signed, and the store that its papers go to. `top` is what
    the reference names: perhaps an index that `subject` was chosen from."""

    location: "Location"
    image: str
    subject: "Manifest"
    store: "Writable"
    top: "Manifest"


@asynccontextmanager
async def works(
    args: argparse.Namespace, reached: "Client", location: "Location"
) -> AsyncIterator[list[Work]]:
    """What a reference names, and with --recursive everything that it lists."""
    from retinue.cli.choosing import for_platform
    from retinue.cli.judging import image_of
    from retinue.cli.reach import find_manifest, writable
    from retinue.oci.reference import parse

    async with writable(reached, location) as store:
        top = await find_manifest(store, location)
        chosen = await for_platform(store, top, args.platform)
        subjects = [chosen, *(await _below(store, chosen) if args.recursive else ())]
        target = store
        if args.papers_in:
            elsewhere = parse(args.papers_in)
            target = reached.remote(elsewhere.host, elsewhere.repository)
        yield [Work(location, image_of(location), each, target, top) for each in subjects]


async def _below(store: "Writable", top: "Manifest") -> "list[Manifest]":
    """All manifests that an index lists, level by level; what BuildKit says of others is no image."""
    from retinue.oci import names
    from retinue.oci.manifest import Manifest
    from retinue.oci.walk import Incomplete

    found: dict[str, Manifest] = {}
    level = [top]
    while level:
        wanted = [
            child.digest
            for parent in level
            for child in parent.children
            if names.ANNOTATION_BUILDKIT_TYPE not in child.annotations and child.digest not in found
        ]
        level = []
        for digest, manifest in (await store.manifests(wanted)).items():
            if manifest is None:
                raise Incomplete((), (digest,), {})
            if not isinstance(manifest, Manifest):
                raise manifest
            found[digest] = manifest
            level.append(manifest)
    return list(found.values())


async def pause(attempt: int) -> None:
    """Before looking whether what was written to a tag is still there: longer each time."""
    import asyncio
    import random

    await asyncio.sleep(0.02 * (attempt + 1) * random.uniform(0.5, 1.5))  # noqa: S311 - no secret


async def each(
    args: argparse.Namespace,
    do: Callable[[Work], "Coroutine[Any, Any, list[Attached]]"],
    at_once: int = AT_ONCE,
) -> "list[tuple[Work, list[Attached]]]":
    """Do something with every image that the references name, several at a time."""
    from functools import partial

    from retinue.cli import progress
    from retinue.cli.reach import client
    from retinue.client.transfer import bounded
    from retinue.oci.reference import parse_location

    locations = [parse_location(text) for text in args.references]

    async def one(location: "Location") -> "list[tuple[Work, list[Attached]]]":
        async with works(args, reached, location) as found:
            papers = await bounded([partial(do, work) for work in found], at_once)
        step()
        return list(zip(found, papers, strict=True))

    with progress.counter("image", len(locations)) as step:
        async with client(args, brief=True) as reached:
            done = await bounded([partial(one, at) for at in locations], at_once)
    return [pair for pairs in done for pair in pairs]


def data(work: Work, papers: "list[Attached]") -> dict[str, Any]:
    """An image and its new papers, for --json."""
    return {
        "image": work.image,
        "digest": work.subject.digest,
        "papers": [{"digest": paper.digest, "new": paper.new} for paper in papers],
    }


def text(did: str, done: "list[tuple[Work, list[Attached]]]", *, dry_run: bool) -> str:
    """A line for each image and for each paper."""
    lines = []
    for work, papers in done:
        name = f"{work.image}@{work.subject.digest}"
        lines.append(f"would {did} {name}" if dry_run else f"{did}ed {name}")
        lines += [
            f"  {'new      ' if paper.new else 'was there'}  {paper.digest}" for paper in papers
        ]
    return "\n".join(lines)
