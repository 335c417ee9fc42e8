"""Tables in which every column is at its worst: all rows agree in it, or all lie about one of them.

There is one repository that has all manifests; one manifest, HUB, that all others are about, refer
to and are referred to by, that carries all tags, and that states all that is stated about others;
one digest that all repositories hold. All candidates, uploads and trash are due, and objects are
all quarantined, or none.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

HUB = b"\x01" + bytes(32)
NOW = 2_000_000_000_000_000
LONG_AGO = 1
MOST = 10
SUBJECT_TAG = "sha256-" + "0" * 64

_JSON = re.compile(r"json_each\(\?(\d+)\)")
_CELL = re.compile(r"(unhex\(|cast\()?e\.value ->> (\d)")
_TEXTS = {"name": "hub/app", "tag": "v1", "source": "hub/app"}
_INTEGERS = {"most": MOST, "repository": 1, "version": 2, "kind": 1, "after": 0, "due": LONG_AGO}

Insert = Callable[[str, Sequence[tuple[Any, ...]]], None]
"""Is given a table with its columns, and rows."""


def leaf(number: int) -> bytes:
    return b"\x01" + number.to_bytes(32, "big")


def fill(insert: Insert, many: int, *, quarantined: bool) -> None:
    """Some multiples of `many` rows in every table that grows."""
    for fill_some in (_content, _manifests, _papers_and_tags, _queues):
        for table, rows in fill_some(range(1, many + 1), quarantined):
            insert(table, rows)


Tables = Iterator[tuple[str, list[tuple[Any, ...]]]]


def _every(numbers: range) -> list[bytes]:
    return [HUB, *map(leaf, numbers)]


def _content(numbers: range, quarantined: bool) -> Tables:
    yield "project (id, name)", [(1, "hub")]
    yield (
        "repository (id, project, name)",
        [(1, 1, "hub/app"), *((n + 1, 1, f"r/{n:06}") for n in numbers)],
    )
    every = _every(numbers)
    at = 1 if quarantined else None
    yield (
        "object (id, digest, size, location, quarantined)",
        [(n, raw, 1, f"l{n}", at) for n, raw in enumerate(every, 1)],
    )
    yield "object_bytes (object, body)", [(n, b"{}") for n, _ in enumerate(every, 1)]
    yield (
        "repo_blob (repository, digest, object, size, touched)",
        [(1, raw, n, 1, 1) for n, raw in enumerate(every, 1)]
        + [(n + 1, HUB, 1, 1, 1) for n in numbers],
    )


def _manifests(numbers: range, _quarantined: bool) -> Tables:
    every = _every(numbers)
    columns = "manifest (repository, digest, object, media_type, links_version, pushed, pushed_by,"
    yield (
        f"{columns} touched)",
        [(1, raw, n, "m", 1, 1, "me", 1) for n, raw in enumerate(every, 1)]
        + [(n + 1, HUB, 1, "m", 1, 1, "me", 1) for n in numbers],
    )
    yield "usage (repository, digest, last_pull, pulls)", [(1, raw, 1, 1) for raw in every]
    columns = "link (repository, source, kind, target, witness, way, size)"
    yield columns, [row for n in numbers for row in _links(n)]


def _papers_and_tags(numbers: range, _quarantined: bool) -> Tables:
    yield (
        "paper (repository, subject, digest, listed, ways, artifact_type)",
        [
            row
            for n in numbers
            for row in ((1, HUB, leaf(n), n % 2, 31, "t"), (1, leaf(n), HUB, 1, 31, "t"))
        ],
    )
    yield (
        "tag (repository, name, digest, created, updated, updated_by)",
        [(1, name, HUB, 1, 1, "me") for n in numbers for name in (f"v{n}", f"sha256-{n:064x}")]
        + [(1, SUBJECT_TAG, HUB, 1, 1, "me")],
    )


def _links(n: int) -> Iterator[tuple[Any, ...]]:
    for kind in (1, 2, 3):
        yield 1, leaf(n), kind, HUB, leaf(n), 1, 1
        yield 1, HUB, kind, leaf(n), HUB, 1, 1
    yield 1, leaf(n), 3, leaf(n + 1), HUB, 1, 1
    yield 1, leaf(n), 3, leaf(n + 1), b"\0v1", 1, 1


def _queues(numbers: range, _quarantined: bool) -> Tables:
    columns = "upload (id, repository, principal, location, size, algorithm, reached, boot, lease,"
    yield (
        f"{columns} leased_until, state, expires)",
        [(f"u{n}", 1, "me", f"u{n}", 1, "sha256", b"", "b", "l", 1, 1, 1) for n in numbers],
    )
    yield (
        "candidate (repository, kind, digest, due)",
        [(1, kind, raw, 1) for kind in (1, 2, 3) for raw in _every(numbers)],
    )
    yield "trash (location, due)", [(f"t{n}", 1) for n in numbers]
    yield "lease (name, owner, until)", [("gc", "me", NOW)]


def arguments(text: str, names: Sequence[str], types: Sequence[str]) -> tuple[Any, ...]:
    """For a statement of SQLite's dialect: about HUB and one other, a page of MOST.

    `types` are PostgreSQL's, by position.
    """
    lists = {int(number) for number in _JSON.findall(text)}
    return tuple(
        _given(text) if number in lists else _scalar(name, kind)
        for number, (name, kind) in enumerate(zip(names, types, strict=True), 1)
    )


def _scalar(name: str, kind: str) -> Any:
    if kind == "bytea":  # of several rows each has other values
        number = name.lstrip("abcdefghijklmnopqrstuvwxyz_")
        return b"" if name in {"after", "last"} else leaf(int(number)) if number else HUB
    if kind == "text":
        return _TEXTS.get(name, "")
    return _INTEGERS.get(name, NOW)


def _given(text: str) -> str:
    """An argument for `json_each`: every combination of HUB and one other in cells for digests."""
    cells: Mapping[int, str] = {int(number): how for how, number in _CELL.findall(text)}
    choices = [_choices(cells.get(number, "")) for number in range(max(cells, default=0) + 1)]
    return json.dumps([list(row) for row in product(*choices)])


def _choices(how: str) -> Sequence[str | int]:
    if how == "unhex(":
        return (HUB.hex(), leaf(1).hex())
    return (1,) if how == "cast(" else ("v1", SUBJECT_TAG)
