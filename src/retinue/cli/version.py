"""`retinue version`: the version of this program."""

import argparse
import platform

from retinue import __version__
from retinue.cli import options
from retinue.cli.render import emit


def arguments(parser: argparse.ArgumentParser) -> None:
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    python = platform.python_version()
    emit(
        {"version": __version__, "python": python},
        f"retinue {__version__} (Python {python})",
        as_json=args.json,
    )
    return 0
