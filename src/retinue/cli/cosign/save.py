"""`retinue save`: copy an image with its papers into a folder; the same as copying to oci:DIR."""

import argparse

from retinue.cli import copy, encrypt, options


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="REFERENCE", help=options.REFERENCE)
    parser.add_argument("--dir", metavar="DIR", required=True, help="the folder")
    options.platform(parser)
    options.without_papers(parser)
    options.papers_in(parser)
    encrypt.arguments(parser)
    options.json(parser)
    options.network(parser)


def run(args: argparse.Namespace) -> int:
    args.destination, args.all_tags = f"oci:{args.dir}", False
    return copy.run(args)
