"""The predicates that are Retinue's own: a tag's statement, a revocation. Strictly read and written.

Of each there is one shape; a field that is not known makes it unreadable, since it might be a
condition.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from retinue import strictjson
from retinue.attest.errors import Malformed
from retinue.attest.statement import Subject
from retinue.oci import digest as digests
from retinue.oci.digest import Digest, InvalidDigest
from retinue.oci.manifest import Manifest
from retinue.papers.revocations import Revocation
from retinue.strictjson import InvalidJson

MAX_TEXT = 4096


class TagStatement(Struct, frozen=True):
    """`image` (HOST/REPOSITORY) has `tag` at `digest`, as of `time`, until `expires`."""

    image: str
    tag: str
    digest: Digest
    time: datetime
    expires: datetime


def named(manifest: Manifest) -> Subject:
    """How a statement names what it is about."""
    algorithm, encoded = digests.algorithm(manifest.digest), digests.encoded(manifest.digest)
    return Subject("", {algorithm: encoded}, {})


def write_tag(statement: TagStatement) -> bytes:
    """The predicate of type https://retinue.dev/tag/v1."""
    return dump(
        {
            "image": statement.image,
            "tag": statement.tag,
            "digest": statement.digest,
            "time": instant(statement.time),
            "expires": timestamp(statement.expires),
        }
    )


def read_tag(predicate: bytes) -> TagStatement:
    """Raises Malformed."""
    fields = Fields.of(predicate, "tag statement", ("image", "tag", "digest", "time", "expires"))
    return TagStatement(
        fields.text("image"),
        fields.text("tag"),
        fields.digest("digest"),
        fields.time("time"),
        fields.time("expires"),
    )


def write_revocation(entry: Revocation) -> Mapping[str, Any]:
    """An entry of a list, or the predicate of type https://retinue.dev/revocation/v1."""
    before = entry.before
    stated = {
        "signer": entry.signer,
        "subject": entry.subject,
        "predicateType": entry.predicate_type,
        "signature": entry.signature,
        "signedBefore": timestamp(before) if before is not None else None,
        "compromise": True if entry.compromise else None,
        "reason": entry.reason,
    }
    return {name: value for name, value in stated.items() if value is not None}


REVOCATION = (
    "signer",
    "subject",
    "predicateType",
    "signature",
    "signedBefore",
    "compromise",
    "reason",
)


def read_revocation(fields: "Fields") -> Revocation:
    """Raises Malformed."""
    return Revocation(
        signer=fields.text("signer"),
        reason=fields.maybe_text("reason") or "",
        subject=fields.digest("subject") if fields.has("subject") else None,
        predicate_type=fields.maybe_text("predicateType"),
        signature=fields.maybe_text("signature"),
        before=fields.time("signedBefore") if fields.has("signedBefore") else None,
        compromise=fields.flag("compromise"),
    )


class Fields(Struct, frozen=True):
    """The members of a JSON object, checked one by one."""

    values: Mapping[str, Any]
    part: str

    @staticmethod
    def of(raw: bytes, part: str, known: tuple[str, ...]) -> "Fields":
        """Raises Malformed for what is no object, or has a member that is not known."""
        try:
            value = strictjson.loads(raw)
        except InvalidJson as problem:
            raise Malformed(part, str(problem)) from None
        return Fields.within(value, part, known)

    @staticmethod
    def within(value: Any, part: str, known: tuple[str, ...]) -> "Fields":
        if not isinstance(value, dict):
            raise Malformed(part, "is not an object")
        unknown = sorted(value.keys() - set(known))
        if unknown:
            raise Malformed(part, f"has a member {unknown[0]!r:.80} that is not known")
        return Fields(value, part)

    def has(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
            raise Malformed(self.part, f"{name} must be a text of 1 to {MAX_TEXT} characters")
        return value

    def maybe_text(self, name: str) -> str | None:
        return self.text(name) if self.values.get(name) else None

    def flag(self, name: str) -> bool:
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            raise Malformed(self.part, f"{name} must be true or false")
        return value

    def whole(self, name: str) -> int:
        value = self.values.get(name)
        if type(value) is not int or not 0 < value < 2**53:
            raise Malformed(self.part, f"{name} must be a whole number from 1")
        return value

    def digest(self, name: str) -> Digest:
        try:
            return digests.parse(self.text(name))
        except InvalidDigest as problem:
            raise Malformed(self.part, f"{name}: {problem}") from None

    def time(self, name: str) -> datetime:
        text = self.text(name)
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise Malformed(self.part, f"{name} is {text!r:.40}, no time of RFC 3339") from None
        if found.tzinfo is None:
            raise Malformed(self.part, f"{name} is {text!r:.40}, without a time zone")
        return found.astimezone(UTC)


def instant(time: datetime) -> str:
    """RFC 3339, UTC, as exact as it is: statements of one second have an order."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def timestamp(time: datetime) -> str:
    """RFC 3339, UTC, whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def dump(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
