"""`retinue admin config`: each option of the registry, its value, and where it came from.

It reads what `retinue serve` with the same flags and environment would read,
and refuses what that would refuse. Passwords inside of URLs are not shown.
"""

import argparse
import os

from retinue.cli import options, serve
from retinue.cli.render import clean, emit, table


def arguments(parser: argparse.ArgumentParser) -> None:
    serve.configuration(parser)
    options.json(parser)


def run(args: argparse.Namespace) -> int:
    from retinue.registry.config import explain
    from retinue.registry.config import options as known

    serve.note_unknown()
    settings = explain(serve.flags(args), os.environ, serve.file_of(args))
    kinds = {name: option.kind for name, (option, _) in known().items()}
    rows = [("OPTION", "VALUE", "FROM")]
    rows += [(s.name, clean(serve.shown(s.value, kinds[s.name])), s.origin) for s in settings]
    data = {each.name: {"value": _plain(each.value), "from": each.origin} for each in settings}
    emit(data, table(rows), as_json=args.json)
    return 0


def _plain(value: object) -> object:
    """What JSON can hold."""
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
