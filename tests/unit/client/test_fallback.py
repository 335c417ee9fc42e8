"""Fallback indexes: what is written, and what is left alone."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

import builders
from loopback import at_once
from retinue.client.fallback import (
    ATTEMPTS,
    FallbackIndexes,
    FallbackRace,
    NoFallback,
    Tagged,
    merged,
)
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.referrers import referrer_entry
from retinue.oci.tags import fallback_tag

IMAGE = builders.image(b"layer")
PAPERS = builders.with_papers(IMAGE, 8)
ENTRIES = [referrer_entry(paper) for paper in PAPERS]


def index(*entries: object, **more: object) -> Tagged:
    document = {"schemaVersion": 2, "mediaType": names.OCI_INDEX, "manifests": entries, **more}
    return Tagged(json.dumps(document).encode(), names.OCI_INDEX, None)


def listed(raw: bytes | None) -> list[str]:
    assert raw is not None
    return [entry["digest"] for entry in json.loads(raw)["manifests"]]


def wanted(*entries: dict[str, Any]) -> dict[Digest, dict[str, Any] | None]:
    return {entry["digest"]: entry for entry in entries}


def test_an_index_is_begun() -> None:
    raw = merged("t", None, wanted(ENTRIES[0]))
    assert raw is not None
    assert json.loads(raw) == {
        "schemaVersion": 2,
        "mediaType": names.OCI_INDEX,
        "manifests": [ENTRIES[0]],
    }


def test_an_entry_is_added_once_and_the_rest_stays() -> None:
    present = index(ENTRIES[0], annotations={"kept": "yes"})
    raw = merged("t", present, wanted(ENTRIES[0], ENTRIES[1]))
    assert listed(raw) == [PAPERS[0].digest, PAPERS[1].digest]
    assert json.loads(raw or b"")["annotations"] == {"kept": "yes"}


def test_what_is_so_already_is_not_written() -> None:
    assert merged("t", index(ENTRIES[0]), wanted(ENTRIES[0])) is None
    assert merged("t", index(ENTRIES[0]), {PAPERS[1].digest: None}) is None


def test_an_entry_is_removed() -> None:
    raw = merged("t", index(*ENTRIES[:2]), {PAPERS[0].digest: None})
    assert listed(raw) == [PAPERS[1].digest]


@pytest.mark.parametrize(
    "present",
    [
        Tagged(IMAGE.raw, IMAGE.media_type, None),
        Tagged(b"{", names.OCI_INDEX, None),
        Tagged(b"[]", names.OCI_INDEX, None),
        Tagged(b'{"manifests":{}}', names.OCI_INDEX, None),
        Tagged(b'{"manifests":[1]}', names.OCI_INDEX, None),
    ],
)
def test_what_is_no_index_is_left_alone(present: Tagged) -> None:
    with pytest.raises(NoFallback, match="'t'"):
        merged("t", present, wanted(ENTRIES[0]))


def test_an_index_does_not_outgrow_what_registries_take() -> None:
    large = {**ENTRIES[0], "annotations": {"a": "b" * 5_000_000}}
    with pytest.raises(NoFallback, match="bytes"):
        merged("t", None, {PAPERS[0].digest: large})


class Tags:
    """Tags in memory, whose last writer wins. Writes numbered in `lost` are undone at once."""

    def __init__(self, *, conditional: bool = False, lost: Iterable[int] = ()) -> None:
        self.content: dict[str, bytes] = {}
        self.conditional = conditional
        self.lost = set(lost)
        self.writes = 0

    async def read(self, tag: str) -> Tagged | None:
        await asyncio.sleep(0)
        raw = self.content.get(tag)
        return None if raw is None else Tagged(raw, names.OCI_INDEX, str(hash(raw)))

    async def write(self, tag: str, raw: bytes, etag: str | None) -> bool:
        await asyncio.sleep(0)
        before = self.content.get(tag)
        if self.conditional and before is not None and etag != str(hash(before)):
            return False
        self.writes += 1
        if self.writes not in self.lost:
            self.content[tag] = raw
        return True


def indexes(tags: Tags) -> FallbackIndexes:
    return FallbackIndexes(tags, sleep=at_once, random=lambda: 0.5)


async def test_what_comes_together_is_written_together() -> None:
    tags = Tags()
    writer = indexes(tags)
    await asyncio.gather(*(writer.add(IMAGE.digest, entry) for entry in ENTRIES))
    assert set(listed(tags.content[fallback_tag(IMAGE.digest)])) == {p.digest for p in PAPERS}
    assert tags.writes <= 2


@pytest.mark.parametrize("conditional", [False, True])
async def test_writers_that_know_nothing_of_each_other_lose_nothing(conditional: bool) -> None:
    tags = Tags(conditional=conditional)
    await asyncio.gather(*(indexes(tags).add(IMAGE.digest, entry) for entry in ENTRIES))
    assert set(listed(tags.content[fallback_tag(IMAGE.digest)])) == {p.digest for p in PAPERS}


async def test_what_was_lost_is_written_again() -> None:
    tags = Tags(lost=range(1, 6))
    await indexes(tags).add(IMAGE.digest, ENTRIES[0])
    assert listed(tags.content[fallback_tag(IMAGE.digest)]) == [PAPERS[0].digest]


async def test_against_others_who_never_stop_we_give_up_aloud() -> None:
    tags = Tags(lost=range(1, ATTEMPTS + 1))
    with pytest.raises(FallbackRace, match="1 papers are not listed") as caught:
        await indexes(tags).add(IMAGE.digest, ENTRIES[0])
    assert caught.value.missing == (PAPERS[0].digest,)
