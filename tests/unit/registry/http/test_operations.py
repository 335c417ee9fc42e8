"""What operators ask, and who may."""

from pathlib import Path
from typing import Any

import pytest

import rsgi
from retinue.registry.access.gate import Gate
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Rules, parse_rule
from retinue.registry.config import Config
from retinue.registry.content.cache import ByteCache
from retinue.registry.content.services import Services
from retinue.registry.http import operations
from retinue.registry.http.entry import Entry
from retinue.registry.http.table import TABLE
from retinue.registry.metrics import Shared


class Trusting(Gate):
    """Users are who they say."""

    def __init__(self, *rules: str) -> None:
        self._rules = Rules([parse_rule(rule) for rule in rules])

    async def identify(self, authorization: str | None, peer: str) -> Principal:
        return Principal(authorization) if authorization else ANONYMOUS


class Unused:
    """Stores that these questions do not ask."""

    def generation(self) -> int:
        return 2


def edge(*rules: str, **options: Any) -> Entry:
    unused: Any = Unused()
    services = Services(
        catalog=unused,
        blobs=unused,
        config=Config(data=Path("unused"), htpasswd=Path("unused"), **options),
        clock=lambda: 0,
        secret=b"",
        access=Trusting(*rules),
        cache=ByteCache(0),
        boot="boot",
    )
    return Entry(services, {**TABLE, **operations.table(Shared(1))})


async def ask(entry: Entry, path: str, user: str | None) -> int:
    fields: dict[str, str] = {"authorization": user} if user else {}
    wire = rsgi.Wire()
    await entry(rsgi.Scope("GET", path, headers=rsgi.hosted(fields)), wire)
    if wire.status == 401:
        assert "www-authenticate" in dict(wire.headers)
    return wire.status


@pytest.mark.parametrize(
    ("readers", "nobody", "ann", "prometheus"),
    [
        (("anonymous",), 200, 200, 200),
        (("users",), 401, 200, 200),
        (("prometheus",), 401, 403, 200),
        (("ann", "prometheus"), 401, 200, 200),
        ((), 401, 403, 403),
    ],
)
async def test_metrics_are_for_those_who_may_read_them(
    readers: tuple[str, ...], nobody: int, ann: int, prometheus: int
) -> None:
    entry = edge("users read *", metrics_readers=readers)
    told = [await ask(entry, "/metrics", user) for user in (None, "ann", "prometheus")]
    assert told == [nobody, ann, prometheus]


async def test_metrics_are_open_unless_said_otherwise_and_life_always() -> None:
    assert await ask(edge("users read *"), "/metrics", None) == 200
    assert await ask(edge("users read *", metrics_readers=("users",)), "/healthz", None) == 200


@pytest.mark.parametrize(
    ("rule", "user", "status"),
    [
        ("users read *", None, 401),
        ("users read *", "ann", 200),
        ("anonymous read public/*", None, 200),
    ],
)
async def test_extensions_are_told_to_who_may_pull_something(
    rule: str, user: str | None, status: int
) -> None:
    assert await ask(edge(rule), "/v2/_oci/ext/discover", user) == status
