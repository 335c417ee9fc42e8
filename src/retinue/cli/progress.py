"""A line on standard error that says how far long work is; only on a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TextIO

from retinue.cli.render import size
from retinue.client.transfer import Advanced, Done, Event, How, Planned

WIDTH = 24
EVERY = 0.1
"""Seconds between two drawings of the line."""


class Bar:
    """Takes a copy's events; `with` it, and the line is gone when the work is done."""

    def __init__(
        self, label: str, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._label = label
        self._stream = stream
        self._clock = clock
        self._shown = stream.isatty()
        self._next = clock() + EVERY
        self._drawn = False
        self._total = self._passed = 0
        self._left = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Planned):
            self._total, self._left = event.size, event.blobs + event.manifests
        elif isinstance(event, Advanced):
            self._passed += event.count
        elif isinstance(event, Done):
            self._left -= 1
            if event.how is not How.SENT:
                self._passed += event.size
        if self._shown and self._clock() >= self._next:
            self._next = self._clock() + EVERY
            self._draw()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def line(self) -> str:
        """What is drawn."""
        part = min(1.0, self._passed / self._total) if self._total else 1.0
        full = int(part * WIDTH)
        return (
            f"{self._label} {'━' * full}{'╌' * (WIDTH - full)} {part:4.0%} "
            f"{size(min(self._passed, self._total))} of {size(self._total)}, {self._left} to go"
        )

    def _draw(self) -> None:
        self._drawn = True
        self._stream.write(f"\r{self.line()}\x1b[K")
        self._stream.flush()


def bar(label: str) -> Bar:
    """On standard error."""
    return Bar(label, sys.stderr)


@contextmanager
def counter(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A line that counts things done; call what is yielded for each. Only on a terminal."""
    done, stream = 0, sys.stderr

    def step() -> None:
        nonlocal done
        done += 1
        if stream.isatty() and total > 1:
            stream.write(f"\r{label} {done} of {total}\x1b[K")
            stream.flush()

    try:
        yield step
    finally:
        if stream.isatty() and total > 1:
            stream.write("\r\x1b[K")
            stream.flush()
