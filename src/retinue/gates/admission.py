"""Kubernetes admission webhooks (AdmissionReview, admission.k8s.io/v1): bytes in, bytes out.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.gates.judging import Answer, Judge, ask, is_pinned
from retinue.gates.pods import BadObject, Place, changed, is_mirror, of_pod, of_workload

API = "admission.k8s.io/v1"
MAX_BYTES = 16 * 1024 * 1024
"""A review holds the object twice, each at most what etcd takes (1.5 MiB by default)."""
MAX_WARNINGS = 16
MAX_WARNING = 250
"""What the API server passes on of a warning."""
_SUBRESOURCES = frozenset({"", "ephemeralcontainers", "resize"})


class BadReview(RetinueError):
    """No AdmissionReview that can be answered."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not an AdmissionReview ({API}): {reason}")
        self.reason = reason


class Review(Struct, frozen=True):
    """What is to be admitted."""

    uid: str
    kind: str
    operation: str
    subresource: str
    new: Any
    old: Any


def read(raw: bytes) -> Review:
    """Raises BadReview."""
    document = _parse(raw)
    if not isinstance(document, dict) or document.get("apiVersion") != API:
        raise BadReview(f"apiVersion must be {API}")
    request = document.get("request")
    if document.get("kind") != "AdmissionReview" or not isinstance(request, dict):
        raise BadReview("kind must be AdmissionReview, with a request")
    kind = request.get("kind")
    return Review(
        uid=_text(request, "uid"),
        kind=_text(kind if isinstance(kind, dict) else {}, "kind"),
        operation=_text(request, "operation"),
        subresource=_text(request, "subResource", ""),
        new=request.get("object"),
        old=request.get("oldObject"),
    )


def _parse(raw: bytes) -> Any:
    """JSON without double keys. Keys that differ only in case are usual here: `managedFields` has
    one for each of the variables http_proxy and HTTP_PROXY."""
    if len(raw) > MAX_BYTES:
        raise BadReview(f"more than {MAX_BYTES} bytes")
    try:
        return json.loads(raw, object_pairs_hook=_object)
    except (ValueError, RecursionError) as problem:
        raise BadReview(f"no JSON: {problem}"[:300]) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def _text(table: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = table.get(name, default)
    if not isinstance(value, str):
        raise BadReview(f"request.{name} is missing, or no text")
    return value


async def validate(raw: bytes, judge: Judge, seconds: float, *, tags: bool = False) -> bytes:
    """Whether an object may be: Pods are refused, workloads get warnings.

    Images that an update leaves as they were pass. An image without a digest is refused, since its
    tag can move before it is pulled (`tags`: is judged as it is now). Raises BadReview.
    """
    review = read(raw)
    if review.operation not in {"CREATE", "UPDATE"}:
        return _response(review.uid, allowed=True)
    try:
        return await _validate(review, judge, seconds, tags=tags)
    except BadObject as problem:
        return _response(review.uid, allowed=False, message=f"{review.kind} {problem}")


async def _validate(review: Review, judge: Judge, seconds: float, *, tags: bool) -> bytes:
    if review.kind == "Pod":
        return await _pod(review, judge, seconds, tags=tags)
    places = of_workload(review.kind, review.new)
    if places is None:
        message = f"{review.kind} is no Pod, nor makes any: send it to another webhook"
        return _response(review.uid, allowed=False, message=message, code=400)
    answers = await ask(judge, [place.image for place in places], seconds)
    unmet = [f"{a.image}: {a.why}" for a in answers.values() if not a.allowed]
    return _response(review.uid, allowed=True, warnings=[*unmet, *_warnings(answers.values())])


async def _pod(review: Review, judge: Judge, seconds: float, *, tags: bool) -> bytes:
    places = _new_places(review)
    loose = [place.image for place in places if not tags and not is_pinned(place.image)]
    if loose:
        message = (
            f"{loose[0]}: has no digest, and its tag can move; is the mutating webhook in use?"
        )
        return _response(review.uid, allowed=False, message=message)
    answers = await ask(judge, [place.image for place in places], seconds)
    return _decided(review.uid, answers)


def _new_places(review: Review) -> Sequence[Place]:
    """What is to be judged of a Pod: everything, or what an update changes."""
    if review.subresource not in _SUBRESOURCES:
        raise BadObject(f"comes with the subresource {review.subresource!r}, which is not known")
    new = of_pod(review.new)
    old = of_pod(review.old) if review.operation == "UPDATE" else ()
    return changed(new, old)


def _decided(uid: str, answers: Mapping[str, Answer], patch: bytes | None = None) -> bytes:
    refused = [f"{a.image}: {a.why}" for a in answers.values() if not a.allowed]
    warnings = _warnings(answers.values())
    if refused:
        return _response(uid, allowed=False, message="\n".join(refused), warnings=warnings)
    return _response(uid, allowed=True, warnings=warnings, patch=patch)


async def mutate(raw: bytes, judge: Judge, seconds: float) -> bytes:
    """A Pod with every image pinned to the digest that was judged; anything else as it is.

    An image that is refused is refused here already. Raises BadReview.
    """
    review = read(raw)
    if review.operation not in {"CREATE", "UPDATE"} or review.kind != "Pod":
        return _response(review.uid, allowed=True)
    try:
        places = [place for place in _new_places(review) if not is_pinned(place.image)]
        if is_mirror(review.new):
            return _response(review.uid, allowed=True)
    except BadObject as problem:
        return _response(review.uid, allowed=False, message=f"{review.kind} {problem}")
    answers = await ask(judge, [place.image for place in places], seconds)
    patch = [
        {"op": "replace", "path": place.pointer, "value": answers[place.image].pinned}
        for place in places
    ]
    return _decided(review.uid, answers, json.dumps(patch).encode() if patch else None)


def _warnings(answers: Any) -> Sequence[str]:
    return [f"{each.image}: {warning}" for each in answers for warning in each.warnings]


def _response(
    uid: str,
    *,
    allowed: bool,
    message: str = "",
    warnings: Sequence[str] = (),
    patch: bytes | None = None,
    code: int = 403,
) -> bytes:
    response: dict[str, Any] = {"uid": uid, "allowed": allowed}
    if not allowed:
        reason = "Forbidden" if code == 403 else "BadRequest"
        response["status"] = {"code": code, "reason": reason, "message": message}
    if warnings:
        response["warnings"] = [_printable(each) for each in warnings[:MAX_WARNINGS]]
    if patch is not None:
        response |= {"patchType": "JSONPatch", "patch": b64encode(patch).decode()}
    return json.dumps({"apiVersion": API, "kind": "AdmissionReview", "response": response}).encode()


def _printable(text: str) -> str:
    """A warning goes into a header: one line of printable ASCII."""
    line = " ".join("".join(c if c.isascii() and c.isprintable() else " " for c in text).split())
    return line if len(line) <= MAX_WARNING else f"{line[: MAX_WARNING - 3]}..."
