"""containerd's image verifier (bindir): one image, judged once, by exit code.

https://github.com/containerd/containerd/blob/main/docs/image-verification.md
"""

from msgspec import Struct

from retinue import strictjson
from retinue.errors import RetinueError
from retinue.gates.judging import Answer, plain
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest, InvalidDigest

DESCRIPTOR = "application/vnd.oci.descriptor.v1+json"
MAX_STDIN = 1024 * 1024
MAX_REASON = 32 * 1024
ALLOWED, REFUSED = 0, 1


class BadCall(RetinueError):
    """Not what containerd calls a verifier with: nothing that could be allowed."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part
        self.reason = reason


class Call(Struct, frozen=True):
    """`name` is what was asked for; `digest` what is judged, whatever the name points at by now."""

    name: str
    digest: Digest


def read(name: str, digest: str, media_type: str, stdin: bytes) -> Call:
    """Check a call against its descriptor; raises BadCall."""
    if not name or len(name) > 4096:
        raise BadCall("-name", "is missing, or too long")
    try:
        wanted = digests.parse(digest)
    except InvalidDigest as problem:
        raise BadCall("-digest", str(problem)) from None
    if media_type.partition(";")[0].strip() != DESCRIPTOR:
        raise BadCall("-stdin-media-type", f"{media_type[:120]!r} is not {DESCRIPTOR}")
    _check(stdin, wanted)
    return Call(name, wanted)


def _check(stdin: bytes, wanted: Digest) -> None:
    """The descriptor is of the digest that is asked about, and of a manifest that we know."""
    try:
        descriptor = strictjson.loads(stdin, max_bytes=MAX_STDIN)
    except strictjson.InvalidJson as problem:
        raise BadCall("stdin", str(problem)) from None
    if not isinstance(descriptor, dict):
        raise BadCall("stdin", "is no descriptor")
    stated, kind = descriptor.get("digest"), descriptor.get("mediaType")
    if stated != wanted:
        raise BadCall("stdin", f"is about {stated!r:.160}, and -digest is {wanted}")
    if not isinstance(kind, str) or kind not in names.MANIFEST_TYPES:
        raise BadCall("stdin", f"the media type {kind!r:.160} is not known, so not judged")


def verdict(answer: Answer) -> tuple[int, str]:
    """Exit code, and the reason for standard output: a line of at most 32 KiB."""
    reason = plain(f"{answer.image}: {answer.why}")
    encoded = reason.encode()[: MAX_REASON - 1].decode(errors="ignore")
    return (ALLOWED if answer.allowed else REFUSED), encoded
