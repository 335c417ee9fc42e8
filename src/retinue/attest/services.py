"""Whom signing asks: a client trust config, or a signing config with a trusted root.

https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto (SigningConfig)
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from retinue.attest.root import RootInvalid, TrustedRoot, read_period, read_root
from retinue.strictjson import InvalidJson, loads

CLIENT_CONFIG = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
SIGNING_CONFIG = "application/vnd.dev.sigstore.signingconfig.v0.2+json"

MAX_BYTES = 8 * 1024 * 1024
MAX_SERVICES = 100

_LOG_VERSIONS = (2, 1)
_ONLY_VERSION = (1,)


class LogService(Struct, frozen=True):
    """A log that is written to; `version` is of its interface, 1 or 2."""

    url: str
    version: int


class Services(Struct, frozen=True):
    """Everything that signing without a key asks for. `root` judges what they answer.

    `authority` issues certificates, `issuer` tokens ("" if the config names none); `stamps` are
    timestamp authorities.
    """

    root: TrustedRoot
    authority: str
    issuer: str
    logs: tuple[LogService, ...]
    stamps: tuple[str, ...]


class Witnesses(Struct, frozen=True):
    """Who is asked to say when a signature was made: timestamp authorities and logs.

    `root` judges what they answer; None: nobody does, before somebody verifies.
    """

    stamps: tuple[str, ...] = ()
    logs: tuple[LogService, ...] = ()
    root: TrustedRoot | None = None


def read_client_config(raw: bytes, at: datetime) -> Services:
    """A ClientTrustConfig: services that are in force `at` then. Raises RootInvalid."""
    return _services(*_client_config(raw), at)


def read_client_witnesses(raw: bytes, at: datetime) -> Witnesses:
    """The same for who has a key: its clocks and logs, and no authority. Raises RootInvalid."""
    return _witnesses(*_client_config(raw), at)


def read_signing_witnesses(raw: bytes, root: TrustedRoot | None, at: datetime) -> Witnesses:
    """Clocks and logs of a SigningConfig 0.2. Raises RootInvalid."""
    return _witnesses(_object(raw, SIGNING_CONFIG), root, at)


def _client_config(raw: bytes) -> tuple[Mapping[str, Any], TrustedRoot]:
    document = _object(raw, CLIENT_CONFIG)
    root = document.get("trustedRoot")
    signing = document.get("signingConfig")
    if not isinstance(root, dict) or not isinstance(signing, dict):
        raise RootInvalid("file", "must have a trustedRoot and a signingConfig")
    return signing, read_root(json.dumps(root).encode())


def read_signing_config(raw: bytes, root: TrustedRoot, at: datetime) -> Services:
    """A SigningConfig 0.2, whose services `root` judges. Raises RootInvalid."""
    return _services(_object(raw, SIGNING_CONFIG), root, at)


def _object(raw: bytes, media_type: str) -> Mapping[str, Any]:
    try:
        document = loads(raw, max_bytes=MAX_BYTES)
    except InvalidJson as error:
        raise RootInvalid("file", str(error)) from error
    if not isinstance(document, dict) or document.get("mediaType") != media_type:
        raise RootInvalid("mediaType", f"must be {media_type}")
    return document


def _services(config: Mapping[str, Any], root: TrustedRoot, at: datetime) -> Services:
    witnesses = _witnesses(config, root, at)
    authorities = _select(config, "caUrls", {}, _ONLY_VERSION, at)
    if not authorities:
        raise RootInvalid("signingConfig.caUrls", f"names no authority that is in force at {at}")
    issuers = _select(config, "oidcUrls", {}, _ONLY_VERSION, at)
    issuer = issuers[0].url if issuers else ""
    return Services(root, authorities[0].url, issuer, witnesses.logs, witnesses.stamps)


def _witnesses(config: Mapping[str, Any], root: TrustedRoot | None, at: datetime) -> Witnesses:
    if config.get("mediaType") != SIGNING_CONFIG:
        raise RootInvalid("signingConfig.mediaType", f"must be {SIGNING_CONFIG}")
    logs = _select(config, "rekorTlogUrls", config.get("rekorTlogConfig"), _LOG_VERSIONS, at)
    stamps = _select(config, "tsaUrls", config.get("tsaConfig"), _ONLY_VERSION, at)
    return Witnesses(tuple(service.url for service in stamps), tuple(logs), root)


def _select(
    config: Mapping[str, Any],
    name: str,
    selector: object,
    versions: Sequence[int],
    at: datetime,
) -> Sequence[LogService]:
    """One per operator, the newest interface first; then as many as the selector says."""
    place = f"signingConfig.{name}"
    found = config.get(name) or []
    if not isinstance(found, list) or len(found) > MAX_SERVICES:
        raise RootInvalid(place, f"must be a list of at most {MAX_SERVICES}")
    chosen: dict[str, LogService] = {}
    for version in versions:
        for operator, service in _valid(found, place, version, at):
            chosen.setdefault(operator, service)
    services = sorted(chosen.values(), key=lambda service: versions.index(service.version))
    return services[: _count(selector, place, len(services))]


def _valid(
    found: Iterable[Any], place: str, version: int, at: datetime
) -> Iterable[tuple[str, LogService]]:
    for item in found:
        url = item.get("url") if isinstance(item, dict) else None
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise RootInvalid(place, "each service needs an http or https url")
        if item.get("majorApiVersion") == version and read_period(item, place).covers(at):
            yield str(item.get("operator", "")), LogService(url.rstrip("/"), version)


def _count(selector: object, place: str, available: int) -> int:
    """ServiceSelector: all, any one, or exactly so many."""
    fields = selector if isinstance(selector, dict) else {}
    kind = fields.get("selector", "ANY")
    if kind == "ALL":
        return available
    count = fields.get("count") if kind == "EXACT" else min(1, available)
    if kind not in {"ANY", "EXACT"} or not isinstance(count, int) or count < 0:
        raise RootInvalid(place, f"the selector {kind!r} is not known, or without a count")
    if count > available:
        raise RootInvalid(place, f"{count} are wanted, {available} are in force")
    return count
