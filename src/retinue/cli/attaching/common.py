"""What the tasks of `retinue attach` have in common."""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from retinue.cli import options, signing
from retinue.cli.problems import BadUsage
from retinue.cli.render import emit

if TYPE_CHECKING:
    from retinue.cli.signing import Work
    from retinue.papers.attach import Attached

MAX_FILE = 128 * 1024 * 1024
"""Bytes of what is attached."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help=options.REFERENCE)
    options.platform(parser)


def read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise BadUsage(f"{path} has more than {MAX_FILE} bytes", "attach something smaller")
    if not content.strip():
        raise BadUsage(f"{path} is empty", "there is nothing to attach")
    return content


def attach(args: argparse.Namespace, do: Callable[["Work"], Awaitable["list[Attached]"]]) -> int:
    """Attach to one image, and say what was attached."""
    import asyncio

    args.references, args.recursive, args.papers_in = [args.reference], False, None
    [(work, papers)] = asyncio.run(signing.each(args, do))
    emit(
        signing.data(work, papers),
        "\n".join(paper.digest for paper in papers),
        as_json=args.json,
    )
    return 0
