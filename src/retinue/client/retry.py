"""When to repeat a request, and how long to wait before. Pure: time and chance are arguments."""

from collections.abc import Callable

from retinue.client.http1 import Headers

FIRST = 0.25
LONGEST = 8.0
"""Seconds of the first backoff, and of the longest."""
PATIENCE = 120.0
"""Seconds that a registry may ask us to wait; asked for more, we give up at once."""

_SAFE = frozenset({"GET", "HEAD"})


def backoff(attempt: int, random: float) -> float:
    """Exponential, spread from half to one and a half: clients that failed together come apart."""
    return float(min(LONGEST, FIRST * 2**attempt) * (0.5 + random))


def pause(
    method: str, status: int, headers: Headers, attempt: int, random: Callable[[], float]
) -> float | None:
    """Seconds to wait before repeating after this answer; None: the answer stands."""
    if status in {429, 503}:
        asked = retry_after(headers)
        if asked is None:
            return backoff(attempt, random())
        return asked + random() if asked <= PATIENCE else None
    if status in {502, 504} or (status == 500 and method in _SAFE):
        return backoff(attempt, random())
    return None


def retry_after(headers: Headers) -> float | None:
    """Seconds from `Retry-After` (RFC 9110 10.2.3); a date counts from the answer's own `Date`."""
    value = headers.get("retry-after")
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return float(value)
    from email.utils import parsedate_to_datetime  # slow to import, and hardly ever needed

    try:
        until = parsedate_to_datetime(value)
        since = parsedate_to_datetime(headers.get("date") or "")
        return max(0.0, (until - since).total_seconds())
    except (ValueError, TypeError):  # unreadable: as if it had not been said
        return None
