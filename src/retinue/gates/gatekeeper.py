"""Gatekeeper's external data provider (externaldata.gatekeeper.sh/v1beta1): images in, digests out.

https://open-policy-agent.github.io/gatekeeper/website/docs/externaldata
"""

import json
from collections.abc import Sequence
from typing import Any

from retinue import strictjson
from retinue.gates.judging import Judge, ask

API = "externaldata.gatekeeper.sh/v1beta1"
MAX_BYTES = 1024 * 1024
MAX_KEYS = 256
MAX_KEY = 4096


async def provide(raw: bytes, judge: Judge, seconds: float) -> bytes:
    """For each key (an image) its pinned reference as value, or why it is refused as error.

    An unreadable request is answered with a system error, as the protocol has it, never with an
    empty list of items. Values pin images that are pinned already to themselves: idempotent.
    """
    try:
        keys = _keys(raw)
    except ValueError as problem:
        return _response([], system=str(problem))
    answers = await ask(judge, keys, seconds)
    items = []
    for key in keys:
        answer = answers[key]
        error = "" if answer.allowed else answer.why
        items.append({"key": key, "value": answer.pinned if answer.allowed else "", "error": error})
    return _response(items)


def _keys(raw: bytes) -> Sequence[str]:
    """The keys that are asked for; raises ValueError with what is wrong."""
    try:
        document = strictjson.loads(raw, max_bytes=MAX_BYTES)
    except strictjson.InvalidJson as problem:
        raise ValueError(str(problem)) from None
    if not isinstance(document, dict) or document.get("apiVersion") != API:
        raise ValueError(f"apiVersion must be {API}")
    request = document.get("request")
    if document.get("kind") != "ProviderRequest" or not isinstance(request, dict):
        raise ValueError("kind must be ProviderRequest, with a request")
    keys = request.get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise ValueError(f"request.keys must be a list of at most {MAX_KEYS} images")
    if not all(isinstance(key, str) and 0 < len(key) <= MAX_KEY for key in keys):
        raise ValueError("request.keys must be texts")
    return keys


def _response(items: Sequence[dict[str, str]], system: str = "") -> bytes:
    response: dict[str, Any] = {"idempotent": True, "items": list(items), "systemError": system}
    return json.dumps(
        {"apiVersion": API, "kind": "ProviderResponse", "response": response}
    ).encode()
