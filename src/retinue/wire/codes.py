"""Error codes and the error document (distribution-spec spec.md, "Error Codes")."""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

MAX_BODY = 256 * 1024
"""Bytes of an error document that are looked at; a larger one has no diagnostics."""
MAX_ERRORS = 32
"""Diagnostics that are kept of one document."""
MAX_TEXT = 300
"""Characters that are kept of a message that somebody else wrote."""
_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Code(StrEnum):
    """Every code of the distribution spec, and that of its extensions document."""

    BLOB_UNKNOWN = "BLOB_UNKNOWN"
    BLOB_UPLOAD_INVALID = "BLOB_UPLOAD_INVALID"
    BLOB_UPLOAD_UNKNOWN = "BLOB_UPLOAD_UNKNOWN"
    DENIED = "DENIED"
    DIGEST_INVALID = "DIGEST_INVALID"
    EXTENSION_UNKNOWN = "EXTENSION_UNKNOWN"
    MANIFEST_BLOB_UNKNOWN = "MANIFEST_BLOB_UNKNOWN"
    MANIFEST_INVALID = "MANIFEST_INVALID"
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"
    NAME_INVALID = "NAME_INVALID"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    SIZE_INVALID = "SIZE_INVALID"
    TOOMANYREQUESTS = "TOOMANYREQUESTS"
    UNAUTHORIZED = "UNAUTHORIZED"
    UNSUPPORTED = "UNSUPPORTED"


MESSAGES: Mapping[Code, str] = {
    Code.BLOB_UNKNOWN: "blob unknown to registry",
    Code.BLOB_UPLOAD_INVALID: "blob upload invalid",
    Code.BLOB_UPLOAD_UNKNOWN: "blob upload unknown to registry",
    Code.DENIED: "requested access to the resource is denied",
    Code.DIGEST_INVALID: "provided digest did not match uploaded content",
    Code.EXTENSION_UNKNOWN: "extension unknown to registry",
    Code.MANIFEST_BLOB_UNKNOWN: "manifest references a manifest or blob unknown to registry",
    Code.MANIFEST_INVALID: "manifest invalid",
    Code.MANIFEST_UNKNOWN: "manifest unknown to registry",
    Code.NAME_INVALID: "invalid repository name",
    Code.NAME_UNKNOWN: "repository name not known to registry",
    Code.SIZE_INVALID: "provided length did not match content length",
    Code.TOOMANYREQUESTS: "too many requests",
    Code.UNAUTHORIZED: "authentication required",
    Code.UNSUPPORTED: "the operation is unsupported",
}


class Diagnostic(Struct, frozen=True):
    """One error as a registry reported it. `code` may be one that no spec knows."""

    code: str
    message: str
    detail: Any = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


def error_body(code: Code, message: str | None = None, detail: Any = None) -> bytes:
    """The error document with one error; the code's own message when none is given."""
    error: dict[str, Any] = {"code": str(code), "message": message or MESSAGES[code]}
    if detail is not None:
        error["detail"] = detail
    return json.dumps({"errors": [error]}, separators=(",", ":")).encode()


def read_errors(body: bytes) -> list[Diagnostic]:
    """The errors of a document that somebody else wrote; a body that is none has none."""
    if len(body) > MAX_BODY or not body.lstrip().startswith(b"{"):
        return []
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return []  # a proxy's page, not a registry's document: it reports no errors of the spec
    errors = document.get("errors")
    if not isinstance(errors, list):
        return []
    return [diagnostic(error) for error in errors[:MAX_ERRORS] if isinstance(error, dict)]


def diagnostic(error: Mapping[str, Any]) -> Diagnostic:
    """The one place that says what is repeated of an error: a code of the form that codes have, and
    a message, bounded and printable. `detail` is kept for programs, and is never shown.
    """
    code = error.get("code")
    return Diagnostic(
        code=code if isinstance(code, str) and _CODE.fullmatch(code) else "UNKNOWN",
        message=_text(error.get("message")),
        detail=error.get("detail"),
    )


def _text(value: object) -> str:
    """Text of others may end up on a terminal: bounded, and nothing that steers one."""
    if not isinstance(value, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in value[:MAX_TEXT]).strip()
