"""`retinue logout`: forget what `retinue login` and `docker login` have kept."""

import argparse
import os

from retinue.cli import options
from retinue.cli.login import host_of
from retinue.cli.render import emit


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST[:PORT]", help="the registry")
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    from retinue.client.credentials.files import logout

    host = host_of(args.host)
    files = [str(path) for path in logout(host, os.environ)]
    text = f"logged out of {host}" if files else f"there were no credentials for {host}"
    emit({"host": host, "removed_from": files}, text, as_json=args.json)
    return 0
