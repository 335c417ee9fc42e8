"""Admission: Pods are held to the policy, workloads are warned of, and doubt is a no."""

import json
from typing import Any

import pytest

from gating import Judge, digest, patch_of, pinned, pod, response, review
from retinue.gates import admission
from retinue.gates.admission import BadReview

GOOD = pinned("reg.acme/good:1")
BAD = pinned("reg.acme/bad:1")
SOON = 0.05


async def validated(raw: bytes, judge: Judge | None = None, **more: Any) -> Any:
    return response(await admission.validate(raw, judge or Judge(), more.pop("seconds", 5), **more))


async def test_a_pod_of_allowed_images_is_admitted() -> None:
    assert await validated(review(pod(GOOD))) == {"uid": "u1", "allowed": True}


async def test_a_refused_image_refuses_its_pod_and_says_why() -> None:
    answer = await validated(review(pod(GOOD, BAD)))

    assert not answer["allowed"]
    assert answer["status"]["code"] == 403
    assert answer["status"]["message"].startswith(f"{BAD}: refused: prod, signatures: 0 of 1")


@pytest.mark.parametrize(
    "spec",
    [
        {"initContainers": [{"name": "i", "image": BAD}]},
        {"ephemeralContainers": [{"name": "e", "image": BAD}]},
        {"volumes": [{"name": "v", "image": {"reference": BAD}}]},
    ],
)
async def test_no_place_for_images_is_forgotten(spec: dict[str, Any]) -> None:
    assert not (await validated(review(pod(GOOD, **spec))))["allowed"]


async def test_what_is_undecided_is_refused() -> None:
    answer = await validated(review(pod(pinned("blind"))))

    assert not answer["allowed"]
    assert "undecided, so refused" in answer["status"]["message"]


async def test_what_cannot_be_judged_is_refused() -> None:
    answer = await validated(review(pod(pinned("down"))))

    assert not answer["allowed"]
    assert "could not be judged: connection refused" in answer["status"]["message"]


async def test_what_takes_too_long_is_refused() -> None:
    answer = await validated(review(pod(GOOD, pinned("slow"))), seconds=SOON)

    assert not answer["allowed"]
    assert "no answer in time" in answer["status"]["message"]


async def test_an_image_without_a_digest_is_refused_unless_tags_are_allowed() -> None:
    raw = review(pod("reg.acme/good:1"))

    assert not (await validated(raw))["allowed"]
    assert (await validated(raw, tags=True))["allowed"]


async def test_images_that_an_update_keeps_pass_unjudged() -> None:
    judge = Judge()

    assert (await validated(review(pod(BAD, GOOD), pod(BAD)), judge))["allowed"]
    assert judge.asked == [GOOD]


async def test_an_image_that_moves_to_another_container_is_new() -> None:
    new = pod(GOOD, ephemeralContainers=[{"name": "debug", "image": BAD}])
    raw = review(new, pod(GOOD, initContainers=[{"name": "debug", "image": BAD}]))

    assert not (await validated(raw))["allowed"]


async def test_containers_added_for_debugging_are_judged() -> None:
    new = pod(GOOD, ephemeralContainers=[{"name": "debug", "image": BAD}])

    answer = await validated(review(new, pod(GOOD), subResource="ephemeralcontainers"))

    assert not answer["allowed"]


async def test_a_subresource_that_nobody_knows_is_refused() -> None:
    assert not (await validated(review(pod(GOOD), subResource="surprise")))["allowed"]


async def test_images_are_judged_once_each() -> None:
    judge = Judge()
    await validated(review(pod(GOOD, GOOD)), judge)

    assert judge.asked == [GOOD]


async def test_rules_that_only_warn_are_warnings() -> None:
    answer = await validated(review(pod(pinned("warn"))))

    assert answer["allowed"]
    assert answer["warnings"] == [f"{pinned('warn')}: soon, signatures: 0 of 1 needed"]


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", ["spec", "template"]),
        ("CronJob", ["spec", "jobTemplate", "spec", "template"]),
        ("PodTemplate", ["template"]),
    ],
)
async def test_workloads_are_warned_of_and_admitted(kind: str, path: list[str]) -> None:
    workload: dict[str, Any] = pod("reg.acme/bad:1")
    for name in reversed(path):
        workload = {name: workload}

    answer = await validated(review(workload, kind=kind))

    assert answer["allowed"]
    assert answer["warnings"][0].startswith("reg.acme/bad:1: refused")


async def test_warnings_are_short_lines_of_ascii() -> None:
    answer = await validated(review(pod(*(pinned(f"warn-é\n{i}") for i in range(20)))))

    assert len(answer["warnings"]) == 16
    assert all(len(w) <= 250 and w.isascii() and "\n" not in w for w in answer["warnings"])


async def test_a_kind_that_makes_no_pods_is_sent_back() -> None:
    answer = await validated(review({}, kind="Service"))

    assert (answer["allowed"], answer["status"]["code"]) == (False, 400)


async def test_what_goes_away_may_go() -> None:
    assert (await validated(review(None, operation="DELETE")))["allowed"]


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        {"spec": []},
        {"spec": {"containers": {}}},
        {"spec": {"containers": [1]}},
        {"spec": {"containers": [{"image": "x"}]}},
        {"spec": {"containers": [{"name": "a", "image": 1}]}},
        {"spec": {"volumes": [{"name": "v", "image": []}]}},
        {"spec": {"volumes": [{"image": {"reference": "x"}}]}},
        pod(*(f"i{i}" for i in range(300))),
    ],
)
async def test_an_object_that_is_no_pod_is_refused(broken: Any) -> None:
    assert not (await validated(review(broken)))["allowed"]
    assert not response(await admission.mutate(review(broken), Judge(), 5))["allowed"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {}}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "Pod", "request": {}}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
        review(pod(), uid=1),
        review(pod(), kind={}),  # type: ignore[arg-type]
        review(pod(), operation=None),
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","kind":"x"}',
    ],
)
async def test_what_is_no_review_is_an_error(raw: bytes) -> None:
    with pytest.raises(BadReview):
        await admission.validate(raw, Judge(), 5)


class TestPinning:
    async def test_images_get_the_digest_that_was_judged(self) -> None:
        raw = review(pod("reg.acme/good:1", GOOD, initContainers=[{"name": "i", "image": "app"}]))

        assert patch_of(await admission.mutate(raw, Judge(), 5)) == [
            {"op": "replace", "path": "/spec/containers/0/image", "value": GOOD},
            {
                "op": "replace",
                "path": "/spec/initContainers/0/image",
                "value": f"app:latest@{digest('app')}",
            },
        ]

    async def test_mounted_images_too(self) -> None:
        raw = review(
            pod(GOOD, volumes=[{"name": "a"}, {"name": "v", "image": {"reference": "m:1"}}])
        )

        assert patch_of(await admission.mutate(raw, Judge(), 5)) == [
            {"op": "replace", "path": "/spec/volumes/1/image/reference", "value": pinned("m:1")}
        ]

    async def test_a_host_with_a_port_has_no_tag_by_that(self) -> None:
        raw = review(pod("localhost:5000/app"))

        (change,) = patch_of(await admission.mutate(raw, Judge(), 5))
        assert change["value"] == f"localhost:5000/app:latest@{digest('localhost:5000/app')}"

    async def test_the_patched_pod_is_admitted(self) -> None:
        new = pod("reg.acme/good:1")
        for change in patch_of(await admission.mutate(review(new), Judge(), 5)):
            new["spec"]["containers"][0]["image"] = change["value"]

        assert (await validated(review(new)))["allowed"]

    async def test_pinned_ones_stay_as_they_are(self) -> None:
        assert "patch" not in response(await admission.mutate(review(pod(GOOD)), Judge(), 5))

    async def test_a_refused_image_is_refused_here_already(self) -> None:
        answer = response(await admission.mutate(review(pod("reg.acme/bad:1")), Judge(), 5))

        assert not answer["allowed"]
        assert "patch" not in answer

    async def test_templates_stay_as_they_are(self) -> None:
        workload = {"spec": {"template": pod("reg.acme/good:1")}}
        raw = await admission.mutate(review(workload, kind="Deployment"), Judge(), 5)

        assert response(raw) == {"uid": "u1", "allowed": True}

    async def test_what_shows_a_static_pod_stays_as_it_is(self) -> None:
        mirror = pod("reg.acme/good:1")
        mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}

        assert "patch" not in response(await admission.mutate(review(mirror), Judge(), 5))

    async def test_only_what_an_update_changes_is_pinned(self) -> None:
        old, new = pod("reg.acme/old:1"), pod("reg.acme/old:1", "reg.acme/good:1")

        changes = patch_of(await admission.mutate(review(new, old), Judge(), 5))

        assert [change["path"] for change in changes] == ["/spec/containers/1/image"]


async def test_refusals_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    await validated(review(pod(GOOD, BAD)))

    (line,) = caplog.messages
    assert line.startswith(f"{BAD}: refused: prod, signatures")


async def test_keys_that_differ_in_case_are_usual() -> None:
    new = pod(GOOD)
    new["metadata"]["managedFields"] = [
        {'k:{"name":"http_proxy"}': 1, 'k:{"name":"HTTP_PROXY"}': 2}
    ]

    assert (await validated(review(new)))["allowed"]


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'"\\ud800"', b"\xff", b" " * 20_000_000])
async def test_hostile_bytes_are_an_error(raw: bytes) -> None:
    with pytest.raises(BadReview):
        await admission.validate(raw, Judge(), 5)


async def test_a_response_is_a_review_with_its_version() -> None:
    document = json.loads(await admission.validate(review(pod(GOOD)), Judge(), 5))

    assert (document["apiVersion"], document["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
