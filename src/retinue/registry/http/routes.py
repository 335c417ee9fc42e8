"""From a path to a resource, without patterns: the last parts of a path name it."""

from typing import TypeAlias

Route: TypeAlias = tuple[str, str, str]
"""Resource, repository, and what follows the resource's word."""

NOWHERE: Route = ("", "", "")
PING: Route = ("ping", "", "")

_PLAIN = frozenset({"manifests", "blobs", "referrers"})


def find(path: str) -> Route:
    """The resource of a path; NOWHERE when there is none.

    References hold no slash, so a repository may well be called `manifests` or `a/blobs/uploads`.
    """
    if not path.startswith("/v2/"):
        return PING if path == "/v2" else NOWHERE
    prefix, _, rest = path[4:].rpartition("/")
    name, _, word = prefix.rpartition("/")
    if word in _PLAIN and name and rest:
        if word == "blobs" and rest == "uploads":
            return "uploads", name, ""
        return word, name, rest
    return _other(path, name, word, rest)


def _other(path: str, name: str, word: str, rest: str) -> Route:
    if word == "uploads" and name.endswith("/blobs"):
        return "uploads", name.removesuffix("/blobs"), rest
    if word == "tags" and rest == "list" and name:
        return "tags", name, rest
    if path == "/v2/":
        return PING
    if path == "/v2/_catalog":
        return "catalog", "", ""
    if word == "ext" and rest == "discover" and (name == "_oci" or name.endswith("/_oci")):
        return "extensions", name.removesuffix("_oci").removesuffix("/"), rest
    return NOWHERE


def old(path: str) -> Route:
    """The discovery endpoints of earlier drafts; NOWHERE for anything else."""
    prefix, _, last = path.rpartition("/")
    if last == "referrers" and prefix.startswith("/v2/") and prefix.endswith("/_oras/artifacts"):
        return "old-oras", prefix[4:].removesuffix("/_oras/artifacts"), ""
    for start, end, resource in _OLD:
        if path.startswith(start) and last == end:
            name, found, reference = prefix.removeprefix(start).rpartition("/manifests/")
            if found and name and "/" not in reference:
                return resource, name, reference
    return NOWHERE


_OLD = (
    ("/v2/_ext/oci-artifacts/v1/", "references", "old-references"),
    ("/v2/_ext/oci-artifacts/v1-rc1/", "referrers", "old-rc1"),
    ("/oras/artifacts/v1/", "referrers", "old-oras-draft"),
)
