"""`retinue verify-attestation`: `retinue verify --type TYPE`, whose type is `custom` if none is said."""

import argparse

from retinue.cli import verify


def arguments(parser: argparse.ArgumentParser) -> None:
    verify.arguments(parser)


def run(args: argparse.Namespace) -> int:
    if args.policy is None and args.type is None:
        args.type = "custom"
    return verify.run(args)
