"""Which proxy leads to a host, by the usual environment variables."""

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from retinue.client.errors import Unsupported
from retinue.oci.hosts import is_loopback


class Proxy(Struct, frozen=True):
    """An HTTP proxy; `authorization` is the value of Proxy-Authorization."""

    host: str
    port: int
    authorization: str | None


def proxy_for(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for an origin; None: go directly. Raises Unsupported for SOCKS and the like.

    `HTTPS_PROXY` or `HTTP_PROXY` by scheme, then `ALL_PROXY`; lower case first, and `HTTP_PROXY`
    not at all where it could be a request header of a CGI program. Loopback is never proxied.
    """
    url = _variable(scheme, environ)
    if not url or is_loopback(host) or _excluded(host, port, _lookup("no_proxy", environ)):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        remedy = "name an http:// proxy in the environment"
        raise Unsupported(host, f"be reached through the proxy {parts.scheme}://…", remedy)
    return Proxy(parts.hostname, parts.port or 80, _authorization(parts.username, parts.password))


def _variable(scheme: str, environ: Mapping[str, str]) -> str | None:
    if scheme == "http" and "REQUEST_METHOD" in environ:
        return environ.get("http_proxy")
    return _lookup(f"{scheme}_proxy", environ) or _lookup("all_proxy", environ)


def _lookup(name: str, environ: Mapping[str, str]) -> str | None:
    return environ.get(name) or environ.get(name.upper())


def _authorization(user: str | None, password: str | None) -> str | None:
    if user is None:
        return None
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _excluded(host: str, port: int, no_proxy: str | None) -> bool:
    return any(_matches(host, port, entry.strip()) for entry in (no_proxy or "").split(","))


def _matches(host: str, port: int, entry: str) -> bool:
    """`*`, a name (with its subdomains), `.suffix`, an address, a network; each with a port."""
    if not entry:
        return False
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and name.count(":") == 0:
        return int(wanted) == port and _matches(host, port, name)
    if "/" in entry:
        return _inside(host, entry)
    suffix = entry.lower().removeprefix("*").removeprefix(".")
    return not suffix or host == suffix or host.endswith(f".{suffix}")


def _inside(host: str, network: str) -> bool:
    """Whether the host is an address in the network; a name, or what is none, is not."""
    import ipaddress  # only who excludes networks pays for it

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:  # a name, or no network: no match
        return False
