"""`retinue delete`: delete a tag, or an image with its papers.

With a tag, only the name goes; what it named stays under its digest. With a
digest, the manifest goes, its tags, and its papers (signatures, SBOMs,
provenance) with theirs. The children of an index stay: other indexes and people
may use them.

  retinue delete registry.example.com/app:old
  retinue delete registry.example.com/app@sha256:... --dry-run
"""

import argparse
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from retinue.cli import options
from retinue.cli.asking import confirm
from retinue.cli.problems import BadUsage
from retinue.cli.render import count, emit

if TYPE_CHECKING:
    from retinue.cli.gathering import Retinue
    from retinue.cli.reach import Writable
    from retinue.client.client import Client
    from retinue.client.remote import Remote
    from retinue.oci.digest import Digest
    from retinue.oci.reference import Location


class Plan(Struct):
    """What deleting one reference means: a tag, or a manifest with papers."""

    location: "Location"
    tag: str | None = None
    digest: "Digest | None" = None
    papers: list["Digest"] = []

    @property
    def data(self) -> dict[str, Any]:
        return {
            "reference": str(self.location),
            "tag": self.tag,
            "digest": self.digest,
            "papers": list(self.papers),
        }

    @property
    def text(self) -> str:
        if self.tag is not None:
            return f"{self.location} (only the tag)"
        with_papers = f" with {count(len(self.papers), 'paper')}" if self.papers else ""
        return "\n".join([f"{self.location}{with_papers}", *(f"  {p}" for p in self.papers)])


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "references",
        metavar="REFERENCE",
        nargs="+",
        help="HOST/REPOSITORY:TAG, HOST/REPOSITORY@DIGEST or oci:DIR:TAG",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    options.without_papers(parser)
    options.dry_run(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.oci.reference import parse_location

    locations = [parse_location(text) for text in dict.fromkeys(args.references)]
    for location in locations:
        if location.tag is None and location.digest is None:
            raise BadUsage(f"{location} names a repository", "add :TAG or @DIGEST")
    plans = asyncio.run(_look(args, locations))
    if not args.dry_run:
        what = "\n".join(plan.text for plan in plans)
        confirm(what, f"deleting {plans[0].location}", yes=args.yes)
        asyncio.run(_delete(args, plans))
    did = "would delete" if args.dry_run else "deleted"
    emit(
        {"deleted": [plan.data for plan in plans], "dry_run": args.dry_run},
        "\n".join(f"{did} {plan.text}" for plan in plans),
        as_json=args.json,
    )
    return 0


async def _look(args: argparse.Namespace, locations: list["Location"]) -> list[Plan]:
    from retinue.cli.reach import client, writable

    plans = []
    async with client(args) as reached:
        for location in locations:
            async with writable(reached, location) as store:
                plans.append(await _plan(store, location, papers=not args.without_papers))
    return plans


async def _plan(store: "Writable", location: "Location", *, papers: bool) -> Plan:
    """Raises Missing for what is not there, PapersUnseen where papers may be left over."""
    from retinue.cli.gathering import gather
    from retinue.cli.reach import missing
    from retinue.client.closure import PapersUnseen
    from retinue.client.remote import Remote

    digest = location.digest
    if digest is None:
        assert location.tag is not None
        if await store.resolve(location.tag) is None:
            raise missing(location, location.tag)
        return Plan(location, tag=location.tag)
    if not isinstance(store, Remote):
        raise BadUsage("a layout keeps its content", "delete its tag, or copy what should stay")
    found = (await store.manifests([digest]))[digest]
    if found is None:
        raise missing(location, digest)
    if not papers:
        return Plan(location, digest=digest)
    retinue = await gather(store, digest)
    blind = {
        f"{of} by {way}": why for of, ways in retinue.blind.items() for way, why in ways.items()
    }
    if blind:
        raise PapersUnseen(blind)
    return Plan(location, digest=digest, papers=_own_papers(retinue))


def _own_papers(retinue: "Retinue") -> list["Digest"]:
    """Papers of the root and of its papers: those of its children stay with them."""
    found: dict[Digest, None] = {}
    ahead = [retinue.root]
    while ahead:
        for paper in retinue.papers_of(ahead.pop()):
            if paper not in found and paper != retinue.root:
                found[paper] = None
                ahead.append(paper)
    return list(found)


async def _delete(args: argparse.Namespace, plans: list[Plan]) -> None:
    from retinue.cli.reach import client

    async with client(args) as reached:
        for plan in plans:
            await _execute(reached, plan)


async def _execute(reached: "Client", plan: Plan) -> None:
    """The image first: without it its papers are worth nothing, the other way it would look bare.

    What the registry takes along by itself is gone when we come to it, and counts as deleted.
    """
    from retinue.cli.reach import missing, writable
    from retinue.client.remote import Remote

    async with writable(reached, plan.location) as store:
        if plan.tag is not None:
            if not await store.delete_tag(plan.tag):
                raise missing(plan.location, plan.tag)
            return
        assert isinstance(store, Remote)
        assert plan.digest is not None
        if not await store.delete_manifest(plan.digest):
            raise missing(plan.location, plan.digest)
        for paper in plan.papers:
            await store.delete_manifest(paper)
        for gone in (plan.digest, *plan.papers):
            await _drop_empty_list(store, gone)


async def _drop_empty_list(store: "Remote", subject: "Digest") -> None:
    """Without a referrers API, an index that lists no papers any more is left at the fallback tag."""
    from retinue.oci.manifest import Manifest
    from retinue.oci.tags import fallback_tag

    tag = fallback_tag(subject)
    listing = await store.tagged(tag)
    if isinstance(listing, Manifest) and not listing.children:
        await store.delete_tag(tag)
