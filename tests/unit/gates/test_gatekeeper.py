"""Gatekeeper's provider: an item for each key, and no empty answer to what cannot be read."""

import json
from typing import Any

import pytest

from gating import Judge, digest, pinned
from retinue.gates import gatekeeper

API = "externaldata.gatekeeper.sh/v1beta1"


def asking(*keys: Any, **more: Any) -> bytes:
    fields = {"apiVersion": API, "kind": "ProviderRequest", "request": {"keys": list(keys)}}
    return json.dumps({**fields, **more}).encode()


async def provided(raw: bytes, seconds: float = 5) -> Any:
    document = json.loads(await gatekeeper.provide(raw, Judge(), seconds))
    assert (document["apiVersion"], document["kind"]) == (API, "ProviderResponse")
    return document["response"]


async def test_allowed_images_are_pinned_and_others_are_errors() -> None:
    answer = await provided(asking("good:1", "bad:1", "good:1"))

    assert answer["systemError"] == ""
    assert [item["value"] for item in answer["items"]] == [pinned("good:1"), "", pinned("good:1")]
    assert [bool(item["error"]) for item in answer["items"]] == [False, True, False]
    assert answer["items"][1]["error"].startswith("refused: prod, signatures")


async def test_a_value_given_back_as_key_is_itself() -> None:
    image = pinned("good:1")

    answer = await provided(asking(image))

    assert answer["idempotent"]
    assert answer["items"] == [{"key": image, "value": image, "error": ""}]


@pytest.mark.parametrize(
    ("image", "error"),
    [("down", "could not be judged"), ("blind", "undecided"), ("slow", "no answer in time")],
)
async def test_what_cannot_be_decided_is_an_error(image: str, error: str) -> None:
    (item,) = (await provided(asking(image), 0.05))["items"]

    assert item["value"] == ""
    assert error in item["error"]


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        asking(apiVersion="externaldata.gatekeeper.sh/v1alpha1"),
        asking(kind="x"),
        asking(request=[]),
        asking(request={"keys": "x"}),
        asking(1),
        asking(""),
        asking("x" * 5000),
        asking(*(str(i) for i in range(300))),
    ],
)
async def test_what_cannot_be_read_is_a_system_error(raw: bytes) -> None:
    answer = await provided(raw)

    assert answer["systemError"]
    assert answer["items"] == []


async def test_nothing_asked_is_nothing_answered() -> None:
    assert (await provided(asking()))["items"] == []
    assert digest("x").startswith("sha256:")
