"""A Sigstore trusted root: who issues certificates, keeps logs, tells the time; and since when.

`trusted_root.json`, media type application/vnd.dev.sigstore.trustedroot+json (versions 0.1, 0.2):
https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from retinue.attest.base64 import InvalidBase64, decode
from retinue.attest.errors import Malformed
from retinue.attest.logkey import LogKey, load_log_key
from retinue.errors import RetinueError
from retinue.strictjson import InvalidJson, loads

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MEDIA_TYPES = (
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
)
MAX_BYTES = 4 * 1024 * 1024
MAX_CHAIN = 8


class RootInvalid(RetinueError):
    """A file that is no trusted root. `field` is where, as in `tlogs[0].publicKey`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"trusted root: {field}: {reason}")
        self.field = field
        self.reason = reason


class Period(Struct, frozen=True):
    """From `start` until `end`, both included; None is open."""

    start: datetime | None
    end: datetime | None

    def covers(self, at: datetime) -> bool:
        late_enough = self.start is None or self.start <= at
        return late_enough and (self.end is None or at <= self.end)


class Authority(Struct, frozen=True):
    """One that issues certificates, or timestamps. `chain`: the root comes last; a timestamp
    authority's own certificate, if it is there, first. `name` is its URI, or what it calls itself.
    """

    name: str
    chain: tuple["Certificate", ...]
    period: Period


class Log(Struct, frozen=True):
    """A transparency log. `log_id` is what entries and certificate timestamps name it by; `host`
    is its origin in checkpoints of the second version (empty where the root gives no URL)."""

    name: str
    host: str
    log_id: bytes
    key: LogKey
    period: Period


class TrustedRoot(Struct, frozen=True):
    """`digest` is the SHA-256 (hex) of the file that it was read from. `unknown_logs` counts those
    with a kind of key that is not known here."""

    digest: str
    authorities: tuple[Authority, ...] = ()
    logs: tuple[Log, ...] = ()
    ct_logs: tuple[Log, ...] = ()
    timestamps: tuple[Authority, ...] = ()
    unknown_logs: int = 0

    @property
    def wants_log(self) -> bool:
        """Whether what it vouches for must be in one of its logs: it names some, known or not."""
        return bool(self.logs or self.unknown_logs)


def read_root(raw: bytes) -> TrustedRoot:
    """Read trusted_root.json. Raises RootInvalid.

    Logs with a kind of key that is not known here are left out: they vouch for nothing, and excuse
    from nothing.
    """
    try:
        document = _Field("", loads(raw, max_bytes=MAX_BYTES))
    except InvalidJson as error:
        raise RootInvalid("file", str(error)) from error
    kind = document.text("mediaType")
    if kind not in MEDIA_TYPES:
        raise RootInvalid(
            "mediaType", f"{kind[:80]!r} is not a trusted root; want {MEDIA_TYPES[0]}"
        )
    logs = tuple(map(_log, document.items("tlogs")))
    return TrustedRoot(
        hashlib.sha256(raw).hexdigest(),
        tuple(map(_authority, document.items("certificateAuthorities"))),
        tuple(filter(None, logs)),
        tuple(filter(None, map(_log, document.items("ctlogs")))),
        tuple(map(_authority, document.items("timestampAuthorities"))),
        unknown_logs=logs.count(None),
    )


class _Field:
    """A JSON object that knows where it is."""

    def __init__(self, place: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise RootInvalid(place or "file", "must be a JSON object")
        self.place = place
        self._value: Mapping[str, Any] = value

    def where(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name

    def _get(self, name: str, kind: type, default: Any) -> Any:
        value = self._value.get(name)
        value = default if value is None else value
        if not isinstance(value, kind):
            raise RootInvalid(self.where(name), "is missing, or of the wrong type")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        text: str = self._get(name, str, default)
        return text

    def object(self, name: str) -> "_Field":
        return _Field(self.where(name), self._get(name, dict, None))

    def items(self, name: str) -> Iterator["_Field"]:
        values: Sequence[Any] = self._get(name, list, [])
        return (_Field(f"{self.where(name)}[{i}]", value) for i, value in enumerate(values))

    def octets(self, name: str) -> bytes:
        try:
            return decode(self.text(name))
        except InvalidBase64:
            raise RootInvalid(self.where(name), "is not base64") from None

    def time(self, name: str) -> datetime | None:
        text = self.text(name, "")
        if not text:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise RootInvalid(self.where(name), f"{text[:40]!r} is not a time") from None
        if at.tzinfo is None:
            raise RootInvalid(self.where(name), f"{text[:40]!r} is without a time zone")
        return at

    def period(self) -> Period:
        if self._value.get("validFor") is None:
            return Period(None, None)
        period = self.object("validFor")
        return Period(period.time("start"), period.time("end"))


def read_period(value: Any, place: str) -> Period:
    """The `validFor` of a service; open where there is none. Raises RootInvalid."""
    return _Field(place, value).period()


def _log(field: _Field) -> Log | None:
    hashes = field.text("hashAlgorithm", "SHA2_256")
    if hashes != "SHA2_256":
        raise RootInvalid(field.where("hashAlgorithm"), f"{hashes[:40]!r} is not SHA2_256")
    public = field.object("publicKey")
    try:
        key = load_log_key(public.octets("rawBytes"), public.text("keyDetails"))
    except ValueError as error:
        raise RootInvalid(public.place, str(error)) from error
    period = public.period()
    if period.start is None:
        raise RootInvalid(public.where("validFor.start"), "is missing: since when is it trusted?")
    log_id = field.object("logId").octets("keyId")
    if not log_id:
        raise RootInvalid(field.where("logId.keyId"), "is empty")
    url = field.text("baseUrl", "")
    return Log(url or log_id.hex(), _host(url), log_id, key, period) if key else None


def _host(url: str) -> str:
    """The host of an URL without its port, as Go's URL.Hostname() gives it."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        raise RootInvalid("baseUrl", f"{url[:80]!r} is not an URL") from None


def _authority(field: _Field) -> Authority:
    from retinue.attest.certificate import load_certificate
    from retinue.attest.chain import check_readable

    chain = []
    for item in field.object("certChain").items("certificates"):
        try:
            chain.append(load_certificate(item.octets("rawBytes"), "certificate"))
            check_readable(chain[-1], "certificate")
        except Malformed as error:
            raise RootInvalid(item.where("rawBytes"), error.reason) from error
    if not 1 <= len(chain) <= MAX_CHAIN:
        raise RootInvalid(field.where("certChain"), f"must hold 1 to {MAX_CHAIN} certificates")
    name = field.text("uri", "") or chain[-1].subject.rfc4514_string()
    return Authority(name, tuple(chain), field.period())
