"""Whatever arrives at a gate, the answer is a review, an item, or an error of ours: never a yes."""

import json
import os
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gating import Judge, pinned, pod, response, review
from retinue.gates import admission, containerd, gatekeeper
from retinue.gates.admission import BadReview
from retinue.gates.containerd import BadCall

QUICK = settings(deadline=None, max_examples=int(os.environ.get("POLICY_EXAMPLES", "40")))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["spec", "image"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
BAD = pinned("bad:1")


@QUICK
@given(JSON, st.sampled_from(["initContainers", "ephemeralContainers", "volumes", "x"]), JSON)
async def test_a_bad_image_is_refused_whatever_else_its_pod_says(
    more: Any, field: str, other: Any
) -> None:
    new = pod(BAD, **{field: more})
    new["metadata"] = other

    assert not response(await admission.validate(review(new), Judge(), 5))["allowed"]
    assert not response(await admission.mutate(review(pod("bad:1", **{field: more})), Judge(), 5))[
        "allowed"
    ]


@QUICK
@given(JSON, JSON, st.sampled_from(["Pod", "Deployment", "CronJob", "X"]), JSON)
async def test_any_object_gets_an_answer(new: Any, old: Any, kind: str, sub: Any) -> None:
    raw = review(new, old, kind=kind, subResource=sub)
    for judge in (admission.validate, admission.mutate):
        with suppress(BadReview):
            assert json.loads(await judge(raw, Judge(), 5))["kind"] == "AdmissionReview"


@QUICK
@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
async def test_any_bytes_get_an_answer(raw: bytes) -> None:
    answer = json.loads(await gatekeeper.provide(raw, Judge(), 5))["response"]
    assert answer["systemError"]
    with pytest.raises(BadReview):
        await admission.validate(raw, Judge(), 5)
    with pytest.raises(BadCall):
        containerd.read("app:1", "sha256:" + "0" * 64, containerd.DESCRIPTOR, raw)
