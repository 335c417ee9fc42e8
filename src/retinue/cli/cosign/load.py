"""`retinue load`: copy an image with its papers from a folder; the same as copying from oci:DIR."""

import argparse

from retinue.cli import copy, options


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("destination", metavar="REFERENCE", help=options.REFERENCE)
    parser.add_argument("--dir", metavar="DIR", required=True, help="the folder")
    copy.how(parser)


def run(args: argparse.Namespace) -> int:
    args.source, args.all_tags = f"oci:{args.dir}", False
    return copy.run(args)
