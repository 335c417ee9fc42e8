"""Papers in registries without a referrers API: the index at a tag named after the subject.

The client's duties of distribution-spec 1.1, "Pushing Manifests with Subject", "Deleting Manifests".
Registries let the last writer win, so whoever writes looks again, and repeats what was lost.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from retinue import strictjson
from retinue.client import retry
from retinue.errors import RetinueError
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.tags import fallback_tag

ATTEMPTS = 12
"""How often an index is written before we give up against the others."""
SETTLE = 0.05
"""Seconds after a write until it is looked at again: longer than another's read and write take."""


class FallbackRace(RetinueError):
    """Others kept overwriting the index; the entries are not (all) in it."""

    def __init__(self, tag: str, missing: Iterable[Digest]) -> None:
        self.tag = tag
        self.missing = tuple(missing)
        super().__init__(
            f"tag {tag!r} was overwritten by others {ATTEMPTS} times; "
            f"{len(self.missing)} papers are not listed: repeat when it is quiet"
        )


class NoFallback(RetinueError):
    """The tag is taken by something else, which is not ours to overwrite."""

    def __init__(self, tag: str, why: str) -> None:
        super().__init__(f"tag {tag!r} {why}; papers cannot be listed there: move it away first")
        self.tag = tag
        self.why = why


class Tagged(Struct, frozen=True):
    """What stands at a tag: bytes with media type, and the entity tag that a write may name."""

    raw: bytes
    media_type: str
    etag: str | None


class Tags(Protocol):
    """How indexes are read and written; `write` is False when a precondition failed."""

    async def read(self, tag: str) -> Tagged | None: ...
    async def write(self, tag: str, raw: bytes, etag: str | None) -> bool: ...


class _Change(Struct):
    """What waits to be written for one subject: None for an entry means that it goes."""

    entries: dict[Digest, Mapping[str, Any] | None]
    lock: asyncio.Lock


class FallbackIndexes:
    """Changes to fallback indexes; those of one subject that come together are written together."""

    def __init__(
        self,
        tags: Tags,
        *,
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
        settle: float = SETTLE,
    ) -> None:
        self._tags = tags
        self._sleep = sleep
        self._random = random
        self._settle = settle
        self._changes: dict[Digest, _Change] = {}

    async def add(self, subject: Digest, entry: Mapping[str, Any]) -> None:
        """List a paper (its referrers entry); raises FallbackRace, NoFallback."""
        await self._change(subject, entry["digest"], entry)

    async def remove(self, subject: Digest, paper: Digest) -> None:
        await self._change(subject, paper, None)

    async def _change(
        self, subject: Digest, paper: Digest, entry: Mapping[str, Any] | None
    ) -> None:
        change = self._changes.setdefault(subject, _Change({}, asyncio.Lock()))
        change.entries[paper] = entry
        async with change.lock:
            wanted, change.entries = change.entries, {}
            if wanted:  # else one who had the lock before us has written ours with his
                await self._write(fallback_tag(subject), wanted)

    async def _write(self, tag: str, wanted: Mapping[Digest, Mapping[str, Any] | None]) -> None:
        for attempt in range(ATTEMPTS):
            present = await self._tags.read(tag)
            raw = merged(tag, present, wanted)
            if raw is None:
                return
            if await self._tags.write(tag, raw, present.etag if present else None):
                await self._sleep(self._settle * (0.5 + self._random()))
            else:
                await self._sleep(retry.backoff(min(attempt, 3), self._random()))
        raise FallbackRace(tag, wanted)


def merged(
    tag: str, present: Tagged | None, wanted: Mapping[Digest, Mapping[str, Any] | None]
) -> bytes | None:
    """The index with the entries as wanted; None: it is so already. Raises NoFallback.

    What else is in the index stays. Of an index that loses its last entry an empty one is left:
    deleting the tag could take an entry along that somebody adds meanwhile.
    """
    document = _document(tag, present)
    entries = document["manifests"]
    kept = [entry for entry in entries if wanted.get(entry.get("digest"), entry) is not None]
    listed = {entry.get("digest") for entry in kept}
    new = [entry for digest, entry in wanted.items() if entry and digest not in listed]
    if not new and len(kept) == len(entries):
        return None
    raw = json.dumps({**document, "manifests": [*kept, *new]}, separators=(",", ":")).encode()
    if len(raw) > strictjson.MAX_BYTES:
        raise NoFallback(tag, f"would need an index of {len(raw)} bytes")
    return raw


def _document(tag: str, present: Tagged | None) -> dict[str, Any]:
    if present is None:
        return {"schemaVersion": 2, "mediaType": names.OCI_INDEX, "manifests": []}
    if present.media_type != names.OCI_INDEX:
        raise NoFallback(tag, f"holds {present.media_type!r}, which is no index")
    try:
        document = strictjson.loads(present.raw)
    except strictjson.InvalidJson as problem:
        raise NoFallback(tag, f"holds an unreadable index ({problem.reason})") from problem
    entries = document.get("manifests") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise NoFallback(tag, "holds an index without a list of manifests")
    return dict(document)
