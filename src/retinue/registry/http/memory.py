"""How this process keeps memory that it has used."""

import ctypes

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
"""Of mallopt(3)."""

KEPT = 32 << 20
"""Bytes that an arena may keep for the next bodies."""
LARGE = 4 << 20
"""From here on memory is asked of the system, and given back at once."""


def keep() -> None:
    """Keep memory of bodies for the next ones.

    glibc gives it back as soon as it is free. To have every page of every body anew, and zeroed,
    takes a seventh of the time of a push. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, KEPT)
        mallopt(_MMAP_THRESHOLD, LARGE)
