"""`retinue save`: copy an image with its papers into a folder; the same as copying to oci:DIR."""

import argparse

from retinue.cli import copy, options


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="REFERENCE", help=options.REFERENCE)
    parser.add_argument("--dir", metavar="DIR", required=True, help="the folder")
    copy.how(parser)


def run(args: argparse.Namespace) -> int:
    args.destination, args.all_tags = f"oci:{args.dir}", False
    return copy.run(args)
