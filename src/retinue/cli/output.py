"""The two streams: what a command answers goes to standard output, all else to standard error."""

import sys


def say(text: str) -> None:
    """A line of the answer."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """Something beside the answer."""
    sys.stderr.write(f"{text}\n")
