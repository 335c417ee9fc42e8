"""Requests to signing services: one POST, bounded, never redirected."""

import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, TypeAlias
from urllib.error import HTTPError, URLError

from retinue.attest.errors import SignerFailed

MAX_ANSWER = 16 * 1024 * 1024
SECONDS = 60.0

_TOLD = 600

Post: TypeAlias = Callable[[str, bytes, Mapping[str, str]], bytes]
"""URL, body, headers: the body of a 2xx answer. Raises SignerFailed, named by the URL."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the host that the config names, and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def post(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The default `Post`, which heeds the environment's proxies."""
    if not url.startswith(("https://", "http://")):
        raise SignerFailed(url, "the address is no http or https URL")
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310
    opener = urllib.request.build_opener(_NoRedirect())
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            raw: bytes = answer.read(MAX_ANSWER + 1)
    except HTTPError as error:
        with error:
            told = error.read(_TOLD).decode("utf-8", "replace").strip()
        raise SignerFailed(url, f"it answered {error.code} {told}", error.code) from None
    except (URLError, OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise SignerFailed(url, f"it cannot be reached: {reason}") from None
    if len(raw) > MAX_ANSWER:
        raise SignerFailed(url, f"it answered more than {MAX_ANSWER} bytes")
    return raw
