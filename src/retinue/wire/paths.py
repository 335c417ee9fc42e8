"""Paths of the distribution API (distribution-spec spec.md, "Endpoints"), quoted."""

from collections.abc import Iterable
from urllib.parse import quote, urlencode

BASE = "/v2/"
CATALOG = "/v2/_catalog"
DISCOVER = "/v2/_oci/ext/discover"


def _with(path: str, params: Iterable[tuple[str, str | int | None]]) -> str:
    query = urlencode([(name, value) for name, value in params if value is not None], safe=":/")
    return f"{path}?{query}" if query else path


def _name(name: str) -> str:
    return quote(name, safe="/")


def manifest(name: str, reference: str, tags: Iterable[str] = ()) -> str:
    """A manifest by tag or digest; `tags` are those that a PUT by digest sets besides (end-7b)."""
    path = f"/v2/{_name(name)}/manifests/{quote(reference, safe=':')}"
    return _with(path, [("tag", tag) for tag in tags])


def blob(name: str, digest: str) -> str:
    return f"/v2/{_name(name)}/blobs/{quote(digest, safe=':')}"


def uploads(
    name: str,
    *,
    digest: str | None = None,
    mount: str | None = None,
    source: str | None = None,
    algorithm: str | None = None,
) -> str:
    """Where an upload starts (end-4a, 4b, 4c), or a mount from the repository `source` (end-11)."""
    params = [("digest", digest), ("mount", mount), ("from", source)]
    return _with(f"/v2/{_name(name)}/blobs/uploads/", [*params, ("digest-algorithm", algorithm)])


def with_digest(location: str, digest: str) -> str:
    """An upload's location, completed for the PUT that ends it (end-6)."""
    return f"{location}{'&' if '?' in location else '?'}digest={quote(digest, safe=':')}"


def tags(name: str, *, n: int | None = None, last: str | None = None) -> str:
    return _with(f"/v2/{_name(name)}/tags/list", [("n", n), ("last", last)])


def referrers(name: str, digest: str, artifact_type: str | None = None) -> str:
    path = f"/v2/{_name(name)}/referrers/{quote(digest, safe=':')}"
    return _with(path, [("artifactType", artifact_type)])


def catalog(*, n: int | None = None, last: str | None = None) -> str:
    return _with(CATALOG, [("n", n), ("last", last)])
