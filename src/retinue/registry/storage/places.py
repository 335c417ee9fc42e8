"""Names in the file store: sessions, and locations that are never used twice.

    blobs/<2 hex>/<hex>.<session>-<8 hex>     a copy; its location is the part after `blobs/`
    uploads/<session>                         bytes on their way

The random end makes a location unique even if somebody replays a session id whose first copy is
on its way to the trash (storage rule 1).
"""

import re
import secrets

from retinue.errors import RetinueError
from retinue.files import Root
from retinue.oci import digest as digests
from retinue.oci.digest import Digest

BLOBS = "blobs"
UPLOADS = "uploads"
FANOUT = tuple(f"{number:02x}" for number in range(256))

_SESSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_COPY = re.compile(r"([0-9a-f]{64}|[0-9a-f]{128})\.([0-9A-Za-z][0-9A-Za-z._-]{0,99})-[0-9a-f]{8}")


class InvalidPlace(RetinueError):
    """A session id or location that this store cannot have given out."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{text[:160]!r} is no {kind} of this store")
        self.kind = kind
        self.text = text


def upload_name(session: str) -> str:
    """The file of a session; raises InvalidPlace."""
    if not is_session(session):
        raise InvalidPlace("upload session", session)
    return f"{UPLOADS}/{session}"


def is_session(name: str) -> bool:
    return _SESSION.fullmatch(name) is not None


def is_location(location: str) -> bool:
    folder, slash, name = location.partition("/")
    return slash == "/" and folder == name[:2] and _COPY.fullmatch(name) is not None


def blob_name(location: str) -> str:
    """The file of a copy; raises InvalidPlace."""
    if not is_location(location):
        raise InvalidPlace("location", location)
    return f"{BLOBS}/{location}"


def folder_of(location: str) -> str:
    return f"{BLOBS}/{location[:2]}"


def fresh(digest: Digest, session: str) -> str:
    """A location that was never used before."""
    hexa = digests.encoded(digest)
    return f"{hexa[:2]}/{hexa}.{session}-{secrets.token_hex(4)}"


def made_by(session: str, location: str) -> bool:
    match = _COPY.fullmatch(location[3:])
    return match is not None and match[2] == session


def place_of(location: str) -> str:
    """Where the bytes of a copy were before: the name that its upload has in `uploads/`."""
    return location[location.index(".") + 1 : -9]


def session_of(place: str) -> str:
    """The upload that a place is called after."""
    return place[:-9]


def digest_of(location: str) -> Digest:
    hexa = location[3:].partition(".")[0]
    return Digest(f"{'sha256' if len(hexa) == 64 else 'sha512'}:{hexa}")


def copies_of(root: Root, session: str) -> list[str]:
    """Where a session was kept: looks through every folder, so only for sessions that vanished."""
    return [
        f"{folder}/{name}"
        for folder in FANOUT
        for name, _ in root.entries(f"{BLOBS}/{folder}")
        if made_by(session, f"{folder}/{name}")
    ]
