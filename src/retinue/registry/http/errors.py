"""From an error's class to its status and code: one table, and what goes along in headers."""

import json
from typing import Any

from retinue.errors import RetinueError
from retinue.oci.digest import InvalidDigest
from retinue.oci.manifest import Unreadable
from retinue.oci.stores import DigestMismatch
from retinue.registry.access.failures import TooManyFailures
from retinue.registry.access.gate import REALM, Denied, Unauthenticated
from retinue.registry.catalog.db import CatalogUnavailable, ConstraintViolated
from retinue.registry.catalog.manifests import BeingDeleted
from retinue.registry.content import errors as content
from retinue.registry.content.pull import Corrupt
from retinue.registry.http.exchange import (
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    Headers,
    MalformedQuery,
    Response,
)
from retinue.registry.http.hosts import UnknownHost
from retinue.registry.storage.blobstore import CopyLost, StorageFailed, UploadLost
from retinue.strictjson import InvalidJson
from retinue.wire.authority import MalformedHost
from retinue.wire.challenge import Basic
from retinue.wire.codes import Code, error_body
from retinue.wire.conditions import MalformedCondition, PreconditionFailed
from retinue.wire.paging import InvalidPage
from retinue.wire.ranges import MalformedRange, Unsatisfiable, unsatisfied, upload_range


class NotFound(RetinueError):
    """Nothing is at this path."""

    def __init__(self, path: str) -> None:
        super().__init__(f"nothing is at {path[:200]!r}")
        self.path = path


class MethodNotAllowed(RetinueError):
    """The resource has no such method."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method[:60]!r} is not possible here; use {', '.join(allowed)}")
        self.allowed = allowed


class CodingUnknown(RetinueError):
    """The body comes in a coding that we do not undo (RFC 9112 6.1)."""

    def __init__(self, codings: str) -> None:
        super().__init__(f"Transfer-Encoding {codings[:80]!r} is not known here; use 'chunked'")
        self.codings = codings


class ReadOnly(MethodNotAllowed):
    """This registry was started to serve what it has, and to change nothing."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} (this registry is read-only)", allowed)


UNKNOWN = "UNKNOWN"
UNAVAILABLE = "UNAVAILABLE"
"""Codes that the specification does not list; clients know them from other registries."""

TABLE: dict[type[RetinueError], tuple[int, Code | str]] = {
    NotFound: (404, Code.UNSUPPORTED),
    MethodNotAllowed: (405, Code.UNSUPPORTED),
    CodingUnknown: (400, Code.UNSUPPORTED),
    MalformedHost: (400, Code.UNSUPPORTED),
    UnknownHost: (421, Code.DENIED),
    Unauthenticated: (401, Code.UNAUTHORIZED),
    Denied: (403, Code.DENIED),
    TooManyFailures: (429, Code.TOOMANYREQUESTS),
    ClientGone: (400, Code.SIZE_INVALID),  # who only closed his half still hears it
    BodyTooLarge: (413, Code.SIZE_INVALID),
    BodyTooSlow: (408, Code.BLOB_UPLOAD_INVALID),
    MalformedQuery: (400, Code.UNSUPPORTED),
    InvalidPage: (400, Code.UNSUPPORTED),
    MalformedRange: (416, Code.BLOB_UPLOAD_INVALID),
    MalformedCondition: (400, Code.UNSUPPORTED),
    PreconditionFailed: (412, Code.DENIED),
    Unsatisfiable: (416, Code.SIZE_INVALID),
    InvalidDigest: (400, Code.DIGEST_INVALID),
    DigestMismatch: (400, Code.DIGEST_INVALID),
    Unreadable: (400, Code.MANIFEST_INVALID),
    InvalidJson: (400, Code.MANIFEST_INVALID),
    Corrupt: (404, Code.BLOB_UNKNOWN),
    content.NameInvalid: (400, Code.NAME_INVALID),
    content.TagInvalid: (400, Code.MANIFEST_INVALID),
    content.RepositoryUnknown: (404, Code.NAME_UNKNOWN),
    content.ManifestUnknown: (404, Code.MANIFEST_UNKNOWN),
    content.BlobUnknown: (404, Code.BLOB_UNKNOWN),
    content.PaperDamaged: (503, UNAVAILABLE),  # a 404 would mean: no such API, look elsewhere
    content.ManifestInvalid: (400, Code.MANIFEST_INVALID),
    content.ManifestDigestMismatch: (400, Code.DIGEST_INVALID),
    content.ManifestTooLarge: (413, Code.SIZE_INVALID),
    content.ManifestBlobUnknown: (404, Code.MANIFEST_BLOB_UNKNOWN),
    content.UploadUnknown: (404, Code.BLOB_UPLOAD_UNKNOWN),
    content.UploadInvalid: (400, Code.BLOB_UPLOAD_INVALID),
    content.UploadTooLarge: (413, Code.SIZE_INVALID),
    content.RangeOutOfOrder: (416, Code.BLOB_UPLOAD_INVALID),
    content.SizeInvalid: (400, Code.SIZE_INVALID),
    content.StillLinked: (405, Code.UNSUPPORTED),
    content.Locked: (405, Code.DENIED),
    content.TagPrecondition: (412, Code.DENIED),
    content.PreconditionInvalid: (400, Code.UNSUPPORTED),
    content.TooManyTags: (414, Code.SIZE_INVALID),
    UploadLost: (404, Code.BLOB_UPLOAD_UNKNOWN),
    CopyLost: (503, UNAVAILABLE),
    StorageFailed: (503, UNAVAILABLE),
    CatalogUnavailable: (503, UNAVAILABLE),
    BeingDeleted: (503, UNAVAILABLE),
    ConstraintViolated: (503, UNAVAILABLE),
}

OURS = frozenset({500, 503})
"""Statuses whose cause is here: logged, and told without detail."""


def row(problem: RetinueError) -> tuple[int, Code | str]:
    """Status and code; 500 for what should never reach a client."""
    for kind in type(problem).__mro__:
        found = TABLE.get(kind)
        if found is not None:
            return found
    return 500, UNKNOWN


def answer(problem: RetinueError, request_id: str) -> Response:
    status, code = row(problem)
    if status in OURS:
        return failed(status, str(code), request_id)
    assert isinstance(code, Code)
    body = error_body(code, str(problem), _detail(problem))
    return Response(status, [("content-type", "application/json"), *_headers(problem)], body)


def failed(status: int, code: str, request_id: str) -> Response:
    """An error of ours: the request id is what a user can tell whoever reads the logs."""
    text = "the registry cannot do this now" if status == 503 else "the registry failed"
    error = {"code": code, "message": f"{text}; request id {request_id}"}
    headers: Headers = [("content-type", "application/json")]
    if status == 503:
        headers.append(("retry-after", "5"))
    return Response(status, headers, json.dumps({"errors": [error]}).encode())


def _detail(problem: RetinueError) -> Any:
    """What clients can use without reading prose."""
    if isinstance(problem, content.ManifestBlobUnknown):
        return [{"digest": digest} for digest in problem.digests[:100]]
    if isinstance(problem, content.StillLinked):
        return {"digest": problem.digest, "by": problem.by}
    return None


def _headers(problem: RetinueError) -> Headers:
    if isinstance(problem, Unauthenticated):
        return [("www-authenticate", str(Basic(REALM)))]
    if isinstance(problem, MethodNotAllowed):
        return [("allow", ", ".join(problem.allowed))]
    if isinstance(problem, TooManyFailures):
        return [("retry-after", str(problem.wait))]
    if isinstance(problem, Unsatisfiable):
        return [("content-range", unsatisfied(problem.size))]
    if isinstance(problem, PreconditionFailed):
        return [("etag", problem.etag)]
    if isinstance(problem, content.TagPrecondition) and problem.actual:
        return [("etag", f'"{problem.actual}"')]
    if isinstance(problem, content.RangeOutOfOrder):
        return [("location", problem.location), ("range", upload_range(problem.offset))]
    return []
