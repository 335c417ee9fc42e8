"""What the tasks of `retinue attach` have in common."""

import argparse
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retinue.cli import options, signing
from retinue.cli.problems import BadUsage
from retinue.cli.reading import read_file
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
    content = read_file(path, MAX_FILE)
    if not content.strip():
        raise BadUsage(f"{path} is empty", "there is nothing to attach")
    return content


def attach(
    args: argparse.Namespace, do: Callable[["Work"], Coroutine[Any, Any, "list[Attached]"]]
) -> int:
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
