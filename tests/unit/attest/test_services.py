"""Signing configs: which services are asked, by operator, version, period and selector."""

import json
from datetime import timedelta
from typing import Any

import pytest

from keylesskit import NOW, START, URL, Local, dev, stack_folder, stack_state
from retinue.attest.root import RootInvalid
from retinue.attest.services import (
    LogService,
    Services,
    read_client_config,
    read_signing_config,
)

__all__ = ["dev", "stack_folder", "stack_state"]

A, B = "https://a.test", "https://b.test"


def service(url: str, version: int = 1, operator: str = "", **period: str) -> dict[str, Any]:
    start = {"start": "2026-01-01T00:00:00Z"}
    return {"url": url, "majorApiVersion": version, "operator": operator,
            "validFor": {**start, **period}}  # fmt: skip


def config(**fields: Any) -> dict[str, Any]:
    kind = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
    return {"mediaType": kind, "caUrls": [service(A)], **fields}


def read(dev: Local, **fields: Any) -> Services:
    return read_signing_config(json.dumps(config(**fields)).encode(), dev.root, NOW)


def test_the_stack_is_asked_for_all(dev: Local) -> None:
    root = dev.root

    found = dev.services()

    assert found == Services(root, URL, URL, (LogService(URL, 2),), (f"{URL}/api/v1/timestamp",))


def test_a_client_config_holds_both(dev: Local) -> None:
    found = read_client_config(dev.document("client_trust_config.json"), NOW)

    assert (found.authority, found.root.logs) == (URL, dev.root.logs)


@pytest.mark.parametrize(
    ("services", "selector", "expected"),
    [
        ([service(A)], None, [A]),
        ([], None, []),
        ([service(A, 2), service(B, 1)], None, [A]),
        ([service(A, 1), service(A, 2)], None, [A]),
        ([service(A, 3)], None, []),
        ([service(A, 2, "x"), service(B, 1, "y")], {"selector": "ALL"}, [A, B]),
        ([service(A, 1, "x"), service(B, 2, "x")], {"selector": "ALL"}, [B]),
        ([service(A, 1, "x"), service(B, 1, "y")], {"selector": "EXACT", "count": 2}, [A, B]),
        ([service(A, end="2026-02-01T00:00:00Z"), service(B)], None, [B]),
        ([service(A, start="2027-02-01T00:00:00Z")], None, []),
        ([service(A + "/")], None, [A]),
    ],
    ids=range(11),
)
def test_services_are_selected(
    dev: Local, services: list[Any], selector: Any, expected: list[str]
) -> None:
    found = read(dev, rekorTlogUrls=services, rekorTlogConfig=selector)

    assert [log.url for log in found.logs] == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"caUrls": []},
        {"caUrls": {}},
        {"caUrls": [5]},
        {"caUrls": [service("ftp://a.test")]},
        {"caUrls": [service(A, end="2026-01-02T00:00:00Z")]},
        {"caUrls": [service(A)] * 101},
        {"caUrls": [service(A, start="now")]},
        {"tsaUrls": [service(A)], "tsaConfig": {"selector": "EXACT", "count": 2}},
        {"tsaUrls": [service(A)], "tsaConfig": {"selector": "EXACT"}},
        {"tsaUrls": [service(A)], "tsaConfig": {"selector": "SOME"}},
        {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.1+json"},
    ],
    ids=range(11),
)
def test_a_config_that_leads_nowhere_is_refused(dev: Local, fields: Any) -> None:
    with pytest.raises(RootInvalid):
        read(dev, **fields)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"mediaType": 5}'])
def test_what_is_no_config_is_refused(dev: Local, raw: bytes) -> None:
    with pytest.raises(RootInvalid):
        read_client_config(raw, NOW)
    with pytest.raises(RootInvalid):
        read_signing_config(raw, dev.root, NOW)


def test_a_client_config_needs_both(dev: Local) -> None:
    value = json.loads(dev.document("client_trust_config.json"))
    for name in ("trustedRoot", "signingConfig"):
        without = {key: kept for key, kept in value.items() if key != name}
        with pytest.raises(RootInvalid):
            read_client_config(json.dumps(without).encode(), NOW)


def test_before_its_services_were_nobody_is_asked(dev: Local) -> None:
    raw = dev.document("signing_config.v0.2.json")

    with pytest.raises(RootInvalid, match="no authority"):
        read_signing_config(raw, dev.root, START - timedelta(seconds=1))
