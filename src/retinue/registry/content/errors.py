"""What can be wrong with a request for content. The class says whose fault it was and which."""

from collections.abc import Sequence

from retinue.errors import RetinueError
from retinue.oci.digest import Digest


class NameInvalid(RetinueError):
    """No repository can have this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name[:300]!r} is no repository name; use lower-case letters, digits, . _ - and /"
        )
        self.name = name


class TagInvalid(RetinueError):
    """No tag can have this name."""

    def __init__(self, tag: str) -> None:
        super().__init__(
            f"{tag[:140]!r} is no tag; use up to 128 letters, digits, and . _ - after the first"
        )
        self.tag = tag


class RepositoryUnknown(RetinueError):
    """There is no such repository, or the caller may not know of it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"repository {name!r} is not known here")
        self.name = name


class ManifestUnknown(RetinueError):
    """The repository has no such manifest or tag."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"manifest {reference!r} is not in this repository")
        self.reference = reference


class BlobUnknown(RetinueError):
    """The repository does not hold this blob."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"blob {digest} is not in this repository")
        self.digest = digest


class PaperDamaged(RetinueError):
    """A list has a paper that cannot be described: without it the list would be wrong."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"the stored copy of the paper {digest} is damaged; push or delete it")
        self.digest = digest


class ManifestInvalid(RetinueError):
    """The body is no manifest that can be stored here."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the manifest cannot be stored: {reason}")
        self.reason = reason


class ManifestDigestMismatch(RetinueError):
    """The bytes of a manifest have another digest than the one they were pushed under."""

    def __init__(self, expected: Digest, actual: Digest) -> None:
        super().__init__(f"the manifest was pushed as {expected}, but its bytes hash to {actual}")
        self.expected = expected
        self.actual = actual


class ManifestTooLarge(RetinueError):
    """The manifest has more bytes than this registry accepts."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the manifest is larger than {limit} bytes")
        self.limit = limit


class ManifestBlobUnknown(RetinueError):
    """The manifest refers to content that this repository does not hold: push that first."""

    def __init__(self, digests: Sequence[Digest]) -> None:
        some = ", ".join(digests[:3]) + (f" and {len(digests) - 3} more" if digests[3:] else "")
        super().__init__(f"push what the manifest refers to first; missing here: {some}")
        self.digests = tuple(digests)


class UploadUnknown(RetinueError):
    """There is no such upload session, or not any more: start a new one."""

    def __init__(self, session: str) -> None:
        super().__init__(f"upload {session[:80]!r} is not known here; start a new one")
        self.session = session


class UploadInvalid(RetinueError):
    """A request about an upload makes no sense."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UploadTooLarge(RetinueError):
    """The blob has more bytes than this registry accepts."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the blob is larger than {limit} bytes")
        self.limit = limit


class RangeOutOfOrder(RetinueError):
    """A chunk does not continue the session, or somebody else is writing to it.

    `offset`: bytes that the session has; `location` is where to go on.
    """

    def __init__(self, offset: int, location: str, reason: str = "chunks come in order") -> None:
        super().__init__(f"{reason}; this upload has {offset} bytes, go on there")
        self.offset = offset
        self.location = location


class SizeInvalid(RetinueError):
    """Fewer or more bytes came than were announced, or content has another size than stated."""

    def __init__(self, expected: int, actual: int, what: str) -> None:
        super().__init__(f"{what}: expected {expected} bytes, not {actual}")
        self.expected = expected
        self.actual = actual
        self.what = what


class StillLinked(RetinueError):
    """A manifest of this repository refers to it: delete that first."""

    def __init__(self, digest: Digest, by: Digest) -> None:
        super().__init__(f"{digest} is part of {by}; delete that first")
        self.digest = digest
        self.by = by


class Locked(RetinueError):
    """The manifest, or one that would be deleted along with it, is locked."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"{digest} is locked; unlock it before deleting")
        self.digest = digest


class TagPrecondition(RetinueError):
    """If-Match or If-None-Match does not hold: somebody else moved the tag."""

    def __init__(self, tag: str, actual: Digest | None) -> None:
        super().__init__(f"tag {tag!r} is at {actual}" if actual else f"there is no tag {tag!r}")
        self.tag = tag
        self.actual = actual


class PreconditionInvalid(RetinueError):
    """If-Match or If-None-Match cannot be applied to this request."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"If-Match and If-None-Match need exactly one tag: {reason}")
        self.reason = reason


class TooManyTags(RetinueError):
    """One push sets more tags than this registry accepts."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"one push may set at most {limit} tags")
        self.limit = limit
