"""Asking before something that cannot be undone."""

import sys

from retinue.cli.problems import Declined


def confirm(what: str, short: str, *, yes: bool) -> None:
    """Raises Declined where nobody says yes; `short` names the deed where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Declined(short)
    sys.stderr.write(f"Delete {what}\nThis cannot be undone. Continue? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Declined(short)
