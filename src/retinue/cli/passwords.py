"""Where the password of a private key comes from: never from an argument."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping

from retinue.cli.problems import BadUsage

VARIABLES = ("RETINUE_PASSWORD", "COSIGN_PASSWORD")
MAX_PASSWORD = 64 * 1024
"""Bytes of a password from a file descriptor."""


def arguments(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--password-fd",
        metavar="N",
        type=int,
        help="read the key's password from this file descriptor; "
        "else from $RETINUE_PASSWORD or $COSIGN_PASSWORD, else it is asked for",
    )


def password(
    args: argparse.Namespace,
    *,
    confirm: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Callable[[], bytes]:
    """A function that finds the password once it is needed, and asks only once.

    `confirm`: a new key's password is asked for twice. It raises BadUsage where nobody can be asked.
    """
    known: list[bytes] = []

    def find() -> bytes:
        if not known:
            known.append(_find(args.password_fd, environ, confirm=confirm))
        return known[0]

    return find


def _find(fd: int | None, environ: Mapping[str, str], *, confirm: bool) -> bytes:
    if fd is not None:
        return _read(fd)
    for name in VARIABLES:
        if name in environ:
            return environ[name].encode()
    if not sys.stdin.isatty():
        raise BadUsage(
            "no terminal to ask for the key's password",
            "set $COSIGN_PASSWORD (it may be empty), or give --password-fd",
        )
    return _ask(confirm=confirm)


def _read(fd: int) -> bytes:
    try:
        with os.fdopen(fd, "rb", closefd=False) as stream:
            text = stream.read(MAX_PASSWORD + 1)
    except OSError as problem:
        raise BadUsage(f"--password-fd {fd} cannot be read", "open it for reading") from problem
    if len(text) > MAX_PASSWORD:
        raise BadUsage("the password is too long", f"at most {MAX_PASSWORD} bytes work")
    return text.removesuffix(b"\n").removesuffix(b"\r")


def _ask(*, confirm: bool) -> bytes:
    from getpass import getpass

    first = getpass("Password of the private key: ")
    if confirm and getpass("The same again: ") != first:
        raise BadUsage("the two passwords differ", "try again")
    return first.encode()
