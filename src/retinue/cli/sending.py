"""What push, pull and copy have in common: the arguments of a copy, and its report."""

import argparse
from collections.abc import Sequence
from typing import Any

from retinue.cli import progress
from retinue.cli.problems import BadUsage
from retinue.cli.reach import client, joined, name_in
from retinue.cli.render import count, size
from retinue.client.client import mount_from
from retinue.client.copy import CopyReport, Wanted, copy
from retinue.client.transfer import How
from retinue.oci import platform as platforms
from retinue.oci.reference import Location, Reference
from retinue.oci.stores import Source
from retinue.oci.tags import implied


async def transfer(
    args: argparse.Namespace, source_at: Location, sink_at: Location, label: str
) -> CopyReport:
    """Copy what one location names to another, with its papers unless they shall stay.

    `args` has `platform`, `papers_in` and `without_papers`, and `all_tags` where there is that option.
    """
    if sink_at.digest is not None:
        raise BadUsage(f"{sink_at} names a digest", "a destination has a tag, or nothing")
    platform = platforms.parse(args.platform) if args.platform else None
    async with client(args) as reached, reached.source(source_at) as source:
        wanted = await _wanted(source, source_at, sink_at, args)
        async with reached.sink(sink_at, image=_image(source_at)) as sink:
            with progress.bar(label) as bar:
                return await copy(
                    joined(args, reached, source) if not args.without_papers else source,
                    sink,
                    wanted,
                    papers=not args.without_papers,
                    platform=platform,
                    mount_from=mount_from(source_at, sink_at),
                    progress=bar,
                )


def _image(location: Location) -> str:
    """The name that an image gets inside of a docker-archive."""
    if isinstance(location, Reference):
        return location.place
    return "image"


async def _wanted(
    source: Source, source_at: Location, sink_at: Location, args: argparse.Namespace
) -> Sequence[Wanted]:
    if getattr(args, "all_tags", False):
        return await _all_tags(source, source_at, sink_at)
    name = await name_in(source, source_at)
    tag = sink_at.tag or source_at.tag or (None if ":" in name else name)
    return [Wanted(name, (tag,) if tag else ())]


async def _all_tags(source: Source, source_at: Location, sink_at: Location) -> Sequence[Wanted]:
    if source_at.tag or source_at.digest or sink_at.tag:
        raise BadUsage("--all-tags copies every tag", "name two repositories without tags")
    tags = [tag async for tag in source.tags() if implied(tag) is None]
    if not tags:
        raise BadUsage(f"{source_at} has no tags", "name what to copy by its digest")
    return [Wanted(tag, (tag,)) for tag in tags]


def report_data(report: CopyReport, source: object, sink: object) -> dict[str, Any]:
    """What was copied, for --json."""
    hows = list(report.blobs.values())
    return {
        "source": str(source),
        "destination": str(sink),
        "digests": list(report.roots),
        "tags": dict(report.tags),
        "manifests": len(report.manifests),
        "papers": list(report.papers),
        "blobs": {str(how): hows.count(how) for how in How},
        "bytes_sent": report.bytes_sent,
    }


def report_text(did: str, report: CopyReport, sink: object) -> str:
    """What was copied and how much had to be sent, and the digests."""
    hows = list(report.blobs.values())
    sent = hows.count(How.SENT)
    manifests = count(len(report.manifests) - len(report.papers), "manifest")
    there = f", {count(len(hows) - sent, 'blob')} already there" if len(hows) > sent else ""
    said = f"{did} {sink}: {manifests}, {count(len(report.papers), 'paper')}; "
    said += f"transferred {count(sent, 'blob')} ({size(report.bytes_sent)}){there}"
    return "\n".join([said, *dict.fromkeys(report.roots)])
