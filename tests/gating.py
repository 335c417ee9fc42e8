"""Judges for the tests of gates, and the objects that they are asked about."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from retinue.errors import RetinueError
from retinue.oci.digest import Digest
from retinue.policy.decision import Decision, Outcome, Reason


class Unreachable(RetinueError):
    """The registry of these tests is down."""


def digest(image: str) -> Digest:
    return Digest(f"sha256:{sha256(image.encode()).hexdigest()}")


@dataclass
class Judge:
    """Allows what does not say otherwise in its name; remembers what it was asked."""

    asked: list[str] = field(default_factory=list)
    never: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, image: str) -> Decision:
        self.asked.append(image)
        if "down" in image:
            raise Unreachable("connection refused")
        if "slow" in image:
            await self.never.wait()
        allowed, undecided = "bad" not in image and "blind" not in image, "blind" in image
        outcome = Outcome.PASSED
        if not allowed:
            outcome = Outcome.UNDECIDED if undecided else Outcome.FAILED
        reasons = [Reason("prod", "signatures", outcome, "0 of 1 needed")]
        if "warn" in image:
            why = "0 of 1 needed"
            reasons.append(Reason("soon", "signatures", Outcome.FAILED, why, None, enforced=False))
        found = image.rpartition("@")[2] if "@" in image else digest(image)
        return Decision(allowed, undecided, Digest(found), "e", None, None, tuple(reasons))


def pinned(image: str) -> str:
    return f"{image}@{digest(image)}"


def pod(*images: str, **more: Any) -> dict[str, Any]:
    containers = [{"name": f"c{i}", "image": image} for i, image in enumerate(images)]
    return {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers, **more}}


def review(new: Any, old: Any = None, *, kind: str = "Pod", **more: Any) -> bytes:
    request = {
        "uid": "u1",
        "kind": {"group": "", "version": "v1", "kind": kind},
        "operation": "CREATE" if old is None else "UPDATE",
        "object": new,
        "oldObject": old,
        **more,
    }
    return json.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    ).encode()


def response(raw: bytes) -> Mapping[str, Any]:
    document = json.loads(raw)
    assert document["kind"] == "AdmissionReview"
    assert document["response"]["uid"] == "u1"
    found: Mapping[str, Any] = document["response"]
    return found


def patch_of(raw: bytes) -> Sequence[Mapping[str, str]]:
    answer = response(raw)
    assert answer["patchType"] == "JSONPatch"
    found: Sequence[Mapping[str, str]] = json.loads(b64decode(answer["patch"]))
    return found
