"""`retinue serve`: run a registry.

Every option can also be set in a TOML file (--config, or $RETINUE_CONFIG) and
in the environment ($RETINUE_LISTEN for --listen); flags win over the
environment, which wins over the file. `retinue admin config` prints each value
with where it came from.

On loopback it starts open to whoever can reach it. Beyond loopback, without
users configured, it makes a user `admin` with a random password that it prints
once.

  retinue serve --data /var/lib/retinue --listen 127.0.0.1:5000
"""

import argparse
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retinue.cli.output import note

if TYPE_CHECKING:
    from retinue.registry.config import Config
    from retinue.registry.options import Kind

STORES = ("data", "database")
"""The options that say where content is: what administration needs of all."""


def arguments(parser: argparse.ArgumentParser) -> None:
    configuration(parser)


def configuration(parser: argparse.ArgumentParser, only: Collection[str] = ()) -> None:
    """The options of the registry as flags; all, or `only` some."""
    from retinue.registry.config import flag, options
    from retinue.registry.options import LIST, SWITCH

    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="TOML file; by default $RETINUE_CONFIG"
    )
    known = options()
    for name in only or known:
        option, default = known[name]
        text = option.help
        if default not in {"", ()} and default is not None:
            text += f" [{shown(default, option.kind)}]"
        more: dict[str, Any] = {"metavar": "|".join(option.choices) or option.kind.shape}
        if option.kind is SWITCH:
            more |= {"nargs": "?", "const": "true"}
        elif option.kind is LIST:
            more |= {"action": "append"}
        parser.add_argument(flag(name), dest=name, help=text.replace("%", "%%"), **more)


_UNITS: Mapping[str, Sequence[tuple[int, str]]] = {
    "SIZE": ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")),
    "TIME": ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")),
}


def shown(value: object, kind: "Kind | None" = None) -> str:
    """A value as people write it in a flag."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    units = _UNITS.get(kind.shape) if kind is not None else None
    if units and isinstance(value, int | float) and value:
        step, unit = next((u for u in units if value % u[0] == 0), (1, units[-1][1]))
        return f"{value / step:g}{unit}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def flags(args: argparse.Namespace) -> Mapping[str, str | None]:
    """What was given on the command line, as `registry.config.load` takes it."""
    from retinue.registry.config import options

    given = {name: getattr(args, name, None) for name in options()}
    return {n: ";".join(v) if isinstance(v, list) else v for n, v in given.items()}


def file_of(args: argparse.Namespace) -> Path | None:
    """The configuration file that is named, by flag or environment."""
    from retinue.registry.config import FILE_VARIABLE

    named: Path | None = args.config
    variable = os.environ.get(FILE_VARIABLE)
    return named or (Path(variable) if variable else None)


def load_config(args: argparse.Namespace) -> "Config":
    """The configuration in force; raises BadOption, UnknownOption, UnreadableFile."""
    from retinue.registry.config import load

    note_unknown()
    return load(flags(args), os.environ, file_of(args))


def note_unknown() -> None:
    """Say which variables of the environment look like options and set nothing."""
    from retinue.registry.config import unknown_variables

    found = unknown_variables(os.environ)
    if found:
        names = (f"{n} (did you mean {alike}?)" if alike else n for n, alike in found.items())
        note(f"warning: these variables set no option and are ignored: {', '.join(names)}")


def run(args: argparse.Namespace) -> int:
    config = load_config(args)
    from retinue.registry.app import serve

    return serve(config)
