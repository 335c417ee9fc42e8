"""What users give: files of a bounded size, and lengths of time."""

from datetime import timedelta
from pathlib import Path

from retinue.cli.problems import BadUsage


def read_file(path: Path, limit: int) -> bytes:
    """All bytes of a file; raises BadUsage when they are more than `limit`, OSError."""
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BadUsage(f"{path} has more than {limit} bytes", "name another file")
    return content


def duration(text: str, option: str) -> timedelta:
    """`12h`, `30d`; raises BadUsage."""
    from retinue.policy.units import BadUnit
    from retinue.policy.units import duration as read

    try:
        return read(text)
    except BadUnit as problem:
        raise BadUsage(f"{option}: {problem}", "write it like 12h or 30d") from problem
