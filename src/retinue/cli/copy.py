"""`retinue copy`: copy an image with everything that belongs to it, byte for byte.

Its papers (signatures, SBOMs, provenance) come along, and theirs, by whatever
way they are attached. Tags are set last: a copy that fails leaves none. What
the destination has already is not sent again, so repeating resumes.

With --encryption-key or --decryption-key what is written is another image: its
layers are encrypted for the holders of those keys, or open again. Papers about
the first one stay behind: say --without-papers.

  retinue copy docker.io/library/alpine:3.20 registry.example.com/base/alpine:3.20
  retinue copy registry.example.com/app oci:backup --all-tags
"""

import argparse

from retinue.cli import encrypt, options
from retinue.cli.render import emit


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=options.REFERENCE)
    parser.add_argument(
        "destination", metavar="DESTINATION", help="the same forms; the tag may be left out"
    )
    parser.add_argument("--all-tags", action="store_true", help="copy every tag of the repository")
    how(parser)


def how(parser: argparse.ArgumentParser) -> None:
    """What comes along, and how; the same for `save` and `load`."""
    options.platform(parser)
    options.without_papers(parser)
    options.papers_in(parser)
    encrypt.arguments(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from retinue.cli.sending import report_data, report_text, transfer
    from retinue.oci.reference import parse_location

    source, sink = parse_location(args.source), parse_location(args.destination)
    if encrypt.wanted(args):
        return encrypt.run(args, source, sink)
    report = asyncio.run(transfer(args, source, sink, "copying"))
    emit(
        report_data(report, source, sink),
        report_text("copied to", report, sink),
        as_json=args.json,
    )
    return 0
