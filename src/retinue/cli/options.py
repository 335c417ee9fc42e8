"""Options that mean the same in every command, defined once."""

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

REFERENCE = "HOST/REPOSITORY[:TAG|@DIGEST], oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE"
REMOTE = "HOST/REPOSITORY[:TAG|@DIGEST]"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. Every option makes one of these; `shutil`, which they would ask for
    the width, is seldom needed otherwise, and takes 5 ms to load."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    with suppress(ValueError):
        if (stated := int(os.environ.get("COLUMNS", ""))) > 0:
            return stated
    with suppress(OSError, ValueError, AttributeError):  # no terminal, or no output at all
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    return 80


class Parser(argparse.ArgumentParser):
    """A verb's parser. What a module's docstring says after its first line is the help's end.

    Errors are one line that says where help is.
    """

    def __init__(self, prog: str, does: str, text: str = "", **others: Any) -> None:
        _, _, more = text.partition("\n\n")
        super().__init__(
            prog=prog,
            description=f"{does[:1].upper()}{does[1:]}.",
            epilog=more.rstrip() or None,
            formatter_class=_Formatter,
            allow_abbrev=False,
            **others,
        )

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see: {self.prog} --help\n")


def json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be done; change nothing"
    )


def platform(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--platform",
        metavar="OS/ARCH[/VARIANT]",
        help="only this platform of a multi-platform image",
    )


def without_papers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--without-papers",
        action="store_true",
        help="leave signatures, SBOMs and other papers behind",
    )


def papers_in(parser: argparse._ActionsContainer) -> None:
    """Where papers are kept apart from their images; see `reach.papers_in`."""
    parser.add_argument(
        "--papers-in",
        metavar="HOST/REPOSITORY",
        action="append",
        default=[],
        help="look for papers there too; $COSIGN_REPOSITORY is one more; may be repeated",
    )


def annotation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--annotation",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="annotation of the manifest; may be repeated",
    )


def network(parser: argparse.ArgumentParser) -> None:
    """How registries are reached."""
    group = parser.add_argument_group("reaching registries")
    group.add_argument(
        "--plain-http",
        metavar="HOST[:PORT]",
        action="append",
        default=[],
        help="speak plain HTTP to this registry (loopback does without asking); may be repeated",
    )
    group.add_argument(
        "--token-server",
        metavar="REGISTRY=HOST",
        action="append",
        default=[],
        help="let this host of another site see what logs in at the registry; may be repeated",
    )
    group.add_argument(
        "--ca-file",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="trust the authorities in this PEM file too; may be repeated",
    )
