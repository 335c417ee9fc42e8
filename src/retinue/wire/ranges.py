"""Ranges: of blobs that are read (RFC 9110 section 14), and of uploads (OCI's own form).

In Python a range is `(start, end)` with `end` exclusive; on the wire the end is inclusive.
"""

import re

from retinue.errors import RetinueError

_SPEC = re.compile(r"(\d{0,19})-(\d{0,19})")
_CONTENT = re.compile(r"(?:bytes[ =])?(\d{1,19})-(\d{1,19})(?:/(?:\*|\d{1,19}))?", re.IGNORECASE)
_SERVED = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\*|\d{1,19})", re.IGNORECASE)
_UPLOAD = re.compile(r"(?:bytes=)?0-(\d{1,19})", re.IGNORECASE)


class Unsatisfiable(RetinueError):
    """No byte of the content lies in the range: answer 416 with `unsatisfied(size)`."""

    def __init__(self, header: str, size: int) -> None:
        super().__init__(f"range {header[:80]!r} selects nothing of {size} bytes")
        self.header = header
        self.size = size


class MalformedRange(RetinueError):
    """A Content-Range or Range header that cannot be read."""

    def __init__(self, header: str) -> None:
        super().__init__(f"{header[:80]!r} is no range of the form START-END")
        self.header = header


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The bytes that a `Range` header selects; None: ignore it and send everything (200).

    One range of bytes is honoured: `500-1499`, `500-`, `-500`, clamped to the size. Several
    ranges, other units and what is no range at all are ignored, as RFC 9110 14.2 allows.
    A last byte before the first is answered with 416, as registries' test suites expect.
    Raises Unsatisfiable.
    """
    unit, found, spec = header.partition("=")
    match = _SPEC.fullmatch(spec.strip())
    if not found or unit.strip().lower() != "bytes" or match is None or spec.strip() == "-":
        return None
    first, last = match.groups()
    if not first:
        if size == 0 and int(last):  # satisfiable, with no way to say so in a Content-Range
            return None
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if start >= end:
        raise Unsatisfiable(header, size)
    return start, end


def range_header(start: int) -> str:
    """The `Range` header that asks for everything from `start` on."""
    return f"bytes={start}-"


def content_range(start: int, end: int, size: int) -> str:
    """`Content-Range` of a 206."""
    return f"bytes {start}-{end - 1}/{size}"


def unsatisfied(size: int) -> str:
    """`Content-Range` of a 416."""
    return f"bytes */{size}"


def parse_served(header: str) -> tuple[int, int, int | None]:
    """`Content-Range` of a 206 as (start, end, size or None); raises MalformedRange."""
    match = _SERVED.fullmatch(header.strip())
    if match is None:
        raise MalformedRange(header)
    start, last, size = int(match[1]), int(match[2]), match[3]
    if last < start or (size != "*" and last >= int(size)):
        raise MalformedRange(header)
    return start, last + 1, None if size == "*" else int(size)


def parse_content_range(header: str) -> tuple[int, int]:
    """`Content-Range` of an uploaded chunk: OCI's `a-b`, or RFC 9110's `bytes a-b/*`.

    Raises MalformedRange.
    """
    match = _CONTENT.fullmatch(header.strip())
    if match is None or int(match[2]) < int(match[1]):
        raise MalformedRange(header)
    return int(match[1]), int(match[2]) + 1


def chunk_range(start: int, end: int) -> str:
    """`Content-Range` of an uploaded chunk in OCI's form."""
    return f"{start}-{end - 1}"


def upload_range(received: int) -> str:
    """`Range` of an upload session. Nothing received is `0-0`: the form has no word for it."""
    return f"0-{max(0, received - 1)}"


def parse_upload_range(header: str) -> int:
    """How many bytes a session has, by its `Range`; `0-0` is read as none. Raises MalformedRange."""
    match = _UPLOAD.fullmatch(header.strip())
    if match is None:
        raise MalformedRange(header)
    last = int(match[1])
    return last + 1 if last else 0
