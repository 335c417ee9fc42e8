"""Which token servers may see a registry's credentials: those of its own site, by names alone.

A list of all public suffixes would have to be kept fresh. What is refused without need can be
named by the user, so a few rules that err on that side are enough.
"""

import re
from collections.abc import Collection
from ipaddress import ip_address

from retinue.oci.hosts import is_loopback, stands_alone

_PAIRS = {"nvcr.io": "authn.nvidia.com", "scw.cloud": "api.scaleway.com"}
"""Registries (with all below them) whose token server has a name of another site."""
_SHARED = frozenset(
    {
        *("azurecr.io", "amazonaws.com", "on.aws", "azurewebsites.net", "windows.net", "azure.com"),
        *("cloudfront.net", "akamaized.net", "fastly.net", "workers.dev", "pages.dev", "r2.dev"),
        *("github.io", "gitlab.io", "pkg.dev", "run.app", "appspot.com", "web.app", "vercel.app"),
        *("googleapis.com", "jfrog.io", "cloudsmith.io", "herokuapp.com", "netlify.app", "fly.dev"),
        *("ngrok.io", "ngrok.app", "nip.io", "sslip.io", "duckdns.org", "onrender.com"),
        *(
            "digitaloceanspaces.com",
            "backblazeb2.com",
            "linodeobjects.com",
            "b-cdn.net",
            "scw.cloud",
        ),
    }
)
"""Domains below which names belong to different customers."""
_COUNTRY = re.compile(
    r"(?:ac|ad|biz|co|com|ed|edu|firm|gen|go|gob|gouv|gov|govt|gr|gv|id|in|ind|info|lg|ltd|me|mil"
    r"|name|ne|net|nhs|nic|nom|or|org|plc|sch|school|web)\.[a-z]{2}"
)
"""`co.uk` and its like: below them, names belong to different owners."""


def is_of_site(registry: str, server: str, named: Collection[str] = ()) -> bool:
    """Whether a token server (a host name) may see what logs in at a registry (another).

    It is the same host, one below it, one beside it below a domain that has one owner, one that is
    known for this registry, or `named` by the user.
    """
    if server == registry or server in named or (is_loopback(server) and is_loopback(registry)):
        return True
    if _is_address(registry) or _is_address(server) or not stands_alone(registry):
        return False
    if server.endswith(f".{registry}"):
        return True
    if any(_is_within(registry, each) and server == its for each, its in _PAIRS.items()):
        return True
    return _has_one_owner(_shared_domain(registry, server))


def _shared_domain(one: str, other: str) -> str:
    """The labels at the end that both names have."""
    shared = []
    for mine, theirs in zip(reversed(one.split(".")), reversed(other.split(".")), strict=False):
        if mine != theirs:
            break
        shared.append(mine)
    return ".".join(reversed(shared))


def _has_one_owner(domain: str) -> bool:
    if any(_is_within(domain, each) for each in _SHARED):
        return False
    return "." in domain and not _COUNTRY.fullmatch(domain)


def _is_within(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
