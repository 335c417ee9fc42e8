"""Durations, sizes and instants as people write them."""

import re
from datetime import UTC, date, datetime, time, timedelta

_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhdw])")
_SIZE = re.compile(r"([1-9][0-9]{0,11})(B|KB|MB|GB|KiB|MiB|GiB)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}


class BadUnit(ValueError):
    """Not what should stand there; says what should. Loading turns it into PolicyInvalid."""


def duration(text: str) -> timedelta:
    """`90s`, `15m`, `24h`, `7d`, `2w`; raises BadUnit."""
    match = _DURATION.fullmatch(text)
    if match is None or (seconds := int(match[1]) * _SECONDS[match[2]]) > 36_525 * 86_400:
        raise BadUnit(
            f"{text[:40]!r} is no duration like 90s, 15m, 24h, 7d or 2w (100 years at most)"
        )
    return timedelta(seconds=seconds)


def size(value: object) -> int:
    """`128MiB`, `1GB`, or a number of bytes; raises BadUnit."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        return int(match[1]) * _BYTES[match[2] or "B"]
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise BadUnit(f"{str(value)[:40]!r} is no size like 64KiB, 128MiB or a number of bytes")


def instant(value: object) -> datetime:
    """A day (its first instant, UTC) or an RFC 3339 time with its offset; raises BadUnit."""
    if isinstance(value, str):
        value = _written(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadUnit(f"{value.isoformat()} has no offset; write {value.isoformat()}Z for UTC")
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise BadUnit(
        f"{str(value)[:40]!r} is no day like 2026-01-31 or time like 2026-01-31T12:00:00Z"
    )


def _written(text: str) -> object:
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def later(at: datetime, age: timedelta) -> datetime:
    """`at` plus `age`, or the end of the calendar."""
    last = datetime.max.replace(tzinfo=UTC)
    return last if at > last - age else at + age
