"""Copies and mounts of blobs, on both databases."""

from typing import Any

import pytest

from contract.test_uploads import LARGE, SMALL, ending, get
from retinue.oci import digest as digests
from rig import NAME, START, UPLOADS, Rig, quarantine


async def test_rule_1_a_second_copy_goes_to_trash_and_the_first_is_served(rig: Rig) -> None:
    await rig.blob(LARGE)
    (first,) = await rig.rows("select location from object")
    await rig.blob(LARGE, name="other/app")
    assert await rig.rows("select location from object") == [first]
    ((trashed, due),) = await rig.rows("select location, due from trash")
    assert (trashed != first[0], due) == (True, START)


async def test_rule_7_a_push_replaces_a_quarantined_copy(rig: Rig) -> None:
    await rig.blob(LARGE)
    (first,) = await rig.rows("select location from object")
    await quarantine(rig)
    assert (await get(rig, LARGE)).status == 404
    await rig.blob(LARGE)
    assert (await get(rig, LARGE)).body == LARGE
    assert await rig.rows("select location from trash") == [first]


# ---- mounts


async def test_a_mount_holds_the_blob_here_too(rig: Rig) -> None:
    for data in (SMALL, LARGE):
        digest = await rig.blob(data, name="other/app")
        assert (await get(rig, data)).status == 404
        answer = await rig.call("POST", f"{UPLOADS}?mount={digest}&from=other/app")
        assert (answer.status, answer.location) == (201, f"/v2/{NAME}/blobs/{digest}")
        assert (await get(rig, data)).body == data
        await rig.call("DELETE", f"/v2/other/app/blobs/{digest}")
        assert (await get(rig, data)).body == data


async def test_a_mount_without_from_finds_the_blob(rig: Rig) -> None:
    digest = await rig.blob(SMALL, name="other/app")
    answer = await rig.call("POST", f"{UPLOADS}?mount={digest}")
    assert answer.status == 201


@pytest.mark.parametrize("source", ["", "&from=other/app", "&from=no/such"])
async def test_a_mount_of_what_is_not_there_is_a_session(rig: Rig, source: str) -> None:
    await rig.blob(SMALL, name="other/app")
    answer = await rig.call("POST", f"{UPLOADS}?mount={digests.of(LARGE)}{source}")
    assert answer.status == 202
    assert (await rig.call("PUT", ending(answer.location, LARGE), LARGE)).status == 201


async def test_rule_11_a_mount_from_where_the_caller_may_not_pull_is_a_session(rig: Rig) -> None:
    from retinue.registry.access.gate import OpenGate

    class OwnOnly(OpenGate):
        def allows(self, principal: Any, action: Any, name: str) -> bool:
            return name == NAME

    digest = await rig.blob(SMALL, name="other/app")
    rig.gate = OwnOnly()
    rig.restart()
    for source in ("", "&from=other/app"):
        answer = await rig.call("POST", f"{UPLOADS}?mount={digest}{source}")
        assert answer.status == 202


async def test_a_mount_of_a_bad_digest_is_400(rig: Rig) -> None:
    answer = await rig.call("POST", f"{UPLOADS}?mount=sha256:bad&from=other/app")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
