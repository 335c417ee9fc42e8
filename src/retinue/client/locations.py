"""URLs that came from registries: where they lead, and whether that is where they came from."""

import re
from urllib.parse import urljoin, urlsplit

from retinue.client.errors import ProtocolViolation

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_PORTS = {"http": 80, "https": 443}

Place = tuple[str, str, int]
"""Scheme, host and port: an origin (RFC 6454)."""


def place(url: str, host: str) -> Place:
    """Where a URL leads that `host` named; raises ProtocolViolation, which does not repeat it."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
    except ValueError:
        name = port = None
    if not name or not _HOST.fullmatch(name) or "@" in parts.netloc or parts.scheme not in _PORTS:
        raise ProtocolViolation(host, "a location that is no web address")
    return parts.scheme, name, _PORTS[parts.scheme] if port is None else port


def shown(where: Place) -> str:
    """For messages: `https` and its port go without saying."""
    scheme, name, port = where
    host = f"[{name}]" if ":" in name else name
    host = host if port == _PORTS[scheme] else f"{host}:{port}"
    return host if scheme == "https" else f"{scheme}://{host}"


def joined(url: str, location: str, host: str) -> str:
    """The absolute URL of a location that `host` gave with an answer from `url`."""
    try:
        return urljoin(url, location).partition("#")[0]
    except ValueError as problem:  # brackets that hold no address
        raise ProtocolViolation(host, "a location that is no web address") from problem
