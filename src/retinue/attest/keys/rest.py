"""JSON over HTTP with a signing service: bounded, never redirected, quiet about credentials."""

import json
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, NoReturn
from urllib.error import HTTPError, URLError

from retinue import strictjson
from retinue.attest.errors import SignerFailed
from retinue.strictjson import InvalidJson

MAX_ANSWER = 1024 * 1024
SECONDS = 30.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A credential goes to the host that the user named, and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Service:
    """`name` is what errors call it; `headers` go with every request."""

    name: str
    base: str
    headers: Mapping[str, str] = field(repr=False)
    authorities: str | None = None

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that is answered; raises SignerFailed."""
        data = None if body is None else json.dumps(body).encode()
        headers = dict(self.headers) | {"Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310 - `open_service` lets http and https pass
            self.base + path, data, headers, method=method
        )
        try:
            with self._opener().open(request, timeout=SECONDS) as answer:
                raw = answer.read(MAX_ANSWER + 1)
        except HTTPError as error:
            self._refused(error)
        except (URLError, OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise SignerFailed(self.name, f"cannot be reached: {reason}") from None
        return self._object(raw)

    def _opener(self) -> urllib.request.OpenerDirector:
        if self.base.startswith("http:"):
            return urllib.request.build_opener(_NoRedirect())
        context = ssl.create_default_context(cafile=self.authorities)
        return urllib.request.build_opener(
            _NoRedirect(), urllib.request.HTTPSHandler(context=context)
        )

    def _object(self, raw: bytes) -> dict[str, Any]:
        try:
            value = strictjson.loads(raw, max_bytes=MAX_ANSWER)
        except InvalidJson as error:
            raise SignerFailed(self.name, f"answered no JSON: {error}") from None
        if type(value) is not dict:
            raise SignerFailed(self.name, "answered JSON that is not an object")
        return value

    def _refused(self, error: HTTPError) -> NoReturn:
        with error:
            raw = error.read(MAX_ANSWER)
        raise SignerFailed(self.name, f"answered {error.code}{_told(raw)}") from None


def _told(raw: bytes) -> str:
    """What services say of an error: Vault a list of texts, others an object with a message."""
    try:
        value = strictjson.loads(raw, max_bytes=MAX_ANSWER)
    except InvalidJson:
        return ""
    if type(value) is not dict:
        return ""
    told = value.get("errors") or value.get("error")
    if type(told) is dict:
        told = told.get("message")
    texts = told if type(told) is list else [told]
    text = ", ".join(item for item in texts if type(item) is str)
    return f": {text[:300]}" if text else ""


def open_service(
    name: str, url: str, headers: Mapping[str, str], authorities: str | None = None
) -> Service:
    """A service at an http or https URL; raises SignerFailed for another."""
    if not url.startswith(("http://", "https://")):
        raise SignerFailed(name, f"its address {url[:200]!r} is no http or https URL")
    return Service(name, url.rstrip("/"), headers, authorities)


def text(service: str, answer: Mapping[str, Any], *path: str) -> str:
    """A text deep in an answer; raises SignerFailed where there is none."""
    value: Any = answer
    for name in path:
        value = value.get(name) if type(value) is dict else None
    if type(value) is not str:
        raise SignerFailed(service, f"answered without the text {'.'.join(path)!r}")
    return value
