"""The edge: who is asked for what, and what an error looks like from outside."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rsgi
from retinue.registry.access.gate import Gate
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Action, Rules, parse_rule
from retinue.registry.config import Config
from retinue.registry.content.cache import ByteCache
from retinue.registry.content.services import Services
from retinue.registry.http.entry import Entry
from retinue.registry.http.exchange import (
    WHOLE,
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    MalformedQuery,
    Part,
    Request,
    Response,
    address,
)
from retinue.registry.http.write import write
from retinue.registry.storage.blobstore import LocalFile

Handler = Callable[[Services, Request, str, str], Awaitable[Response]]


class Door(Gate):
    """Users are who they say; rules decide."""

    def __init__(self, *rules: str) -> None:
        self._rules = Rules([parse_rule(rule) for rule in rules])

    async def identify(self, authorization: str | None, peer: str) -> Principal:
        return Principal(authorization) if authorization else ANONYMOUS


def services(door: Gate, **options: Any) -> Services:
    """Handlers of these tests use no store."""
    unused: Any = None
    catalog: Any = SimpleNamespace(generation=lambda: 2)
    return Services(
        catalog=catalog,
        blobs=unused,
        config=Config(data=Path("unused"), **options),
        clock=lambda: 0,
        secret=b"",
        access=door,
        cache=ByteCache(0),
        boot="boot",
    )


async def ok(_services: Services, request: Request, name: str, rest: str) -> Response:
    return Response(200, [("location", "/here")], f"{request.peer} {name} {rest}".encode())


async def broken(_services: Services, _request: Request, _name: str, _rest: str) -> Response:
    raise ZeroDivisionError("secret detail")


async def drawn(_services: Services, request: Request, _name: str, _rest: str) -> Response:
    return Response(200, [], await request.body(10))


async def call(
    entry: Entry,
    method: str = "GET",
    path: str = "/v2/a/manifests/v1",
    headers: Mapping[str, str] | None = None,
    wire: rsgi.Wire | None = None,
    peer: str = "9.9.9.9",
) -> tuple[int, dict[str, str], bytes]:
    wire = wire or rsgi.Wire()
    scope = rsgi.Scope(method, path, "", rsgi.hosted(headers or {}), "1.1", f"{peer}:1")
    await entry(scope, wire)
    return wire.status, dict(wire.headers), wire.body


def entry(handler: Handler = ok, *rules: str, **options: Any) -> Entry:
    door = Door(*(rules or ("anonymous write *",)))
    table = {
        "manifests": {
            "GET": (handler, Action.PULL),
            "HEAD": (handler, Action.PULL),
            "PUT": (handler, Action.PUSH),
        },
        "referrers": {"GET": (handler, Action.PULL)},
    }
    return Entry(services(door, **options), table)


# ---- permission


@pytest.mark.parametrize(
    ("user", "method", "path", "status", "code"),
    [
        (None, "GET", "/v2/a/manifests/v1", 401, "UNAUTHORIZED"),
        (None, "PUT", "/v2/pub/manifests/v1", 401, "UNAUTHORIZED"),
        ("bob", "GET", "/v2/a/manifests/v1", 404, "NAME_UNKNOWN"),
        ("bob", "PUT", "/v2/a/manifests/v1", 403, "DENIED"),
        ("bob", "GET", "/v2/a/referrers/x", 403, "DENIED"),
        ("alice", "PUT", "/v2/a/manifests/v1", 403, "DENIED"),
    ],
)
async def test_what_is_not_allowed(
    user: str | None, method: str, path: str, status: int, code: str
) -> None:
    edge = entry(ok, "alice read a", "anonymous read pub")
    headers = {"authorization": user} if user else {}
    found, _, body = await call(edge, method, path, headers)
    assert (found, json.loads(body)["errors"][0]["code"]) == (status, code)


@pytest.mark.parametrize(("user", "path"), [("alice", "a"), (None, "pub"), ("bob", "pub")])
async def test_what_is_allowed(user: str | None, path: str) -> None:
    edge = entry(ok, "alice read a", "anonymous read pub")
    headers = {"authorization": user} if user else {}
    status, _, _ = await call(edge, "GET", f"/v2/{path}/manifests/v1", headers)
    assert status == 200


async def test_credentials_that_cannot_be_read_are_wrong_ones() -> None:
    edge = entry(ok, "anonymous read pub")
    status, _, _ = await call(edge, "GET", "/v2/pub/manifests/v1", {"authorization": "\xe9"})
    assert status == 401


# ---- requests and answers


async def test_other_methods_are_told_which_there_are() -> None:
    status, headers, _ = await call(entry(), "BREW")
    assert (status, headers["allow"]) == (405, "GET, HEAD, PUT")


async def test_other_paths_are_not_found() -> None:
    status, _, body = await call(entry(), path="/v3/")
    assert status == 404
    assert json.loads(body)["errors"][0]["code"] == "UNSUPPORTED"


async def test_a_failure_of_ours_is_logged_and_told_by_its_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    status, headers, body = await call(entry(broken))
    assert status == 500
    assert b"secret" not in body
    assert headers["x-request-id"] in body.decode()
    assert "ZeroDivisionError" in caplog.text


async def test_head_of_an_error_has_no_body() -> None:
    status, headers, body = await call(entry(broken), "HEAD")
    assert (status, body) == (500, b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("given", "taken"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False), ("a\tb", False)]
)
async def test_a_request_id_is_taken_over_if_it_is_plain(given: str, taken: bool) -> None:
    _, headers, _ = await call(entry(), headers={"x-request-id": given})
    assert taken == (headers["x-request-id"] == given)


async def test_locations_are_relative_unless_a_url_is_configured() -> None:
    _, relative, _ = await call(entry())
    _, absolute, _ = await call(entry(external_url="https://r.example/x/"))
    assert relative["location"] == "/here"
    assert absolute["location"] == "https://r.example/x/here"


async def test_a_notice_is_shown_with_every_answer() -> None:
    _, headers, _ = await call(entry(notice='moves to "b" soon'))
    assert headers["warning"] == '299 - "moves to \\"b\\" soon"'


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("9.9.9.9", "1.2.3.4", "9.9.9.9"),
    ],
)
async def test_only_named_proxies_are_believed(peer: str, forwarded: str, seen: str) -> None:
    edge = entry(trusted_proxies=("10.0.0.0/8",))
    _, _, body = await call(edge, headers={"x-forwarded-for": forwarded}, peer=peer)
    assert body.decode().split()[0] == seen


async def test_requests_are_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "retinue.access_log")
    await call(entry(access_log=True), headers={"authorization": "hush"})
    (record,) = [each for each in caplog.records if each.name == "retinue.access_log"]
    assert record.line.fields()["path"] == "/v2/a/manifests/v1"  # type: ignore[attr-defined]
    assert "hush" in record.line.fields()["user"]  # type: ignore[attr-defined]


# ---- bodies


@pytest.mark.parametrize(
    ("parts", "cut", "headers", "status"),
    [
        ((b"12345", b"67890"), False, {}, 200),
        ((b"12345", b"678901"), False, {}, 413),
        ((b"12345678901",), False, {"content-length": "11"}, 413),
        ((b"12345",), True, {}, 400),
        ((), True, {}, 400),
        ((b"12345",), False, {"content-length": "6"}, 400),
        ((b"12345",), False, {"content-length": "4"}, 400),
        ((b"123", b"45"), False, {"content-length": "5"}, 200),
        ((b"12345",), False, {"content-length": "4", "transfer-encoding": "chunked"}, 200),
    ],
)
async def test_a_body_is_whole_and_bounded_or_refused(
    parts: tuple[bytes, ...], cut: bool, headers: dict[str, str], status: int
) -> None:
    found, _, _ = await call(entry(drawn), "PUT", headers=headers, wire=rsgi.Wire(parts, cut))
    assert status == found


@pytest.mark.parametrize(
    ("parts", "headers", "closes"),
    [
        ((b"12345", b"678901"), {"content-length": "11"}, False),
        ((b"12345",), {"content-length": "11"}, True),
        ((), {"content-length": "11", "expect": "100-continue"}, True),
        ((), {}, False),
    ],
    ids=["read to its end", "cut off", "not sent yet", "none"],
)
async def test_a_body_that_nobody_wants_is_read_or_the_connection_is_closed(
    parts: tuple[bytes, ...], headers: dict[str, str], closes: bool
) -> None:
    """A connection that is closed with unread bytes in it is reset, and takes the answer along."""
    status, found, _ = await call(entry(), "PUT", headers=headers, wire=rsgi.Wire(parts))
    assert (status, found.get("connection")) == (200, "close" if closes else None)


def request(
    wire: rsgi.Wire | None = None, query: str = "", headers: Mapping[str, str] | None = None
) -> Request:
    fields = rsgi.Fields(headers or {})
    scope = rsgi.Scope("PUT", "/", query, fields)
    return Request("PUT", "/", scope, fields, wire or rsgi.Wire(), "id", idle=0.01)


async def test_a_body_that_stops_coming_is_given_up() -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"1"
        await asyncio.Event().wait()

    slow = request(rsgi.Wire(never()), headers={"transfer-encoding": "chunked"})
    with pytest.raises(BodyTooSlow):
        await slow.body(10)
    assert not await slow.drained(100, 1)


async def all_of(asked: Request) -> list[bytes]:
    return [part async for part in asked.all_or_nothing()]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content-length": "5"}, [b"12345"]),
        ({"transfer-encoding": "chunked"}, [b"123", b"45"]),
        ({}, [b"123", b"45"]),
    ],
)
async def test_a_small_body_that_is_announced_comes_in_one_piece(
    headers: dict[str, str], expected: list[bytes]
) -> None:
    asked = request(rsgi.Wire([b"123", b"45"]), headers=headers)
    assert expected == await all_of(asked)
    assert asked.ended


async def test_a_large_body_comes_in_parts() -> None:
    parts = [bytes(WHOLE), b"1"]
    asked = request(rsgi.Wire(parts), headers={"content-length": str(WHOLE + 1)})
    assert parts == await all_of(asked)


async def test_no_body_is_no_part() -> None:
    assert await all_of(request(headers={"content-length": "0"})) == []


@pytest.mark.parametrize("cut", [True, False], ids=["told", "found out"])
async def test_rule_6_a_small_body_that_was_cut_is_none(*, cut: bool) -> None:
    asked = request(rsgi.Wire([b"123"], cut=cut), headers={"content-length": "5"})
    with pytest.raises(ClientGone):
        await all_of(asked)
    assert not await asked.drained(100, 1)


async def test_a_small_body_that_stops_coming_is_given_up() -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"1"
        await asyncio.Event().wait()

    slow = request(rsgi.Wire(never()), headers={"content-length": "5"})
    with pytest.raises(BodyTooSlow):
        await all_of(slow)
    assert not await slow.drained(100, 1)


@pytest.mark.parametrize("headers", [{}, {"content-length": "5"}])
async def test_what_came_before_a_cut_is_never_taken_for_the_whole(headers: dict[str, str]) -> None:
    """Storage rule 6."""
    with pytest.raises(ClientGone):
        await request(rsgi.Wire([b"123"], cut=True), headers=headers).body(10)


@pytest.mark.parametrize(
    ("version", "headers", "tells"),
    [("1.1", {}, True), ("2", {}, False), ("2", {"content-length": "3"}, True)],
)
async def test_over_http_2_only_a_length_tells_a_cut_from_an_end(
    version: str, headers: dict[str, str], tells: bool
) -> None:
    asked = request(rsgi.Wire([b"123", b""]), headers=headers)
    asked.scope = rsgi.Scope(http_version=version)
    assert asked.tells_its_end == tells


async def test_the_announced_length_is_believed_only_to_refuse() -> None:
    with pytest.raises(BodyTooLarge):
        await request(headers={"content-length": "99"}).body(10)


@pytest.mark.parametrize(
    ("client", "host"), [("1.2.3.4:56", "1.2.3.4"), ("[::1]:56", "::1"), ("[fe80::1]:5", "fe80::1")]
)
def test_the_address_of_a_client(client: str, host: str) -> None:
    assert address(client) == host


@pytest.mark.parametrize("query", ["a=%ff", "a=%00", "&".join(["a=1"] * 70)])
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(MalformedQuery):
        request(query=query).params()


def test_query_parameters_keep_their_order() -> None:
    assert request(query="b=2&a=1&b=3&c=").params() == {"b": ["2", "3"], "a": ["1"], "c": [""]}


# ---- answers


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("head", [True, False])
def test_answers_without_a_body_have_no_length(status: int, head: bool) -> None:
    wire = rsgi.Wire()
    assert write(wire, Response(status), [], head=head) == 0
    assert (wire.status, wire.headers) == (status, [])


@pytest.mark.parametrize("head", [True, False])
def test_files_and_their_parts_have_their_exact_length(tmp_path: Path, head: bool) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    file = LocalFile(path, 10)
    for body, expected in ((file, b"0123456789"), (Part(file, 2, 5), b"234")):
        wire = rsgi.Wire()
        sent = write(wire, Response(200, (), body), [], head=head)
        assert (sent, wire.body) == ((0, b"") if head else (len(expected), expected))
        assert wire.headers == [("content-length", str(len(expected)))]


def test_head_of_nothing_says_that_it_is_nothing() -> None:
    wire = rsgi.Wire()
    write(wire, Response(200, (), b""), [], head=True)
    assert wire.headers == [("content-length", "0")]


# ---- bodies of who is nobody


@pytest.mark.parametrize(
    ("user", "size", "closes"),
    [(None, 900, False), (None, 1100, True), ("bob", 1100, False)],
)
async def test_little_is_read_of_a_body_whose_sender_is_not_known(
    user: str | None, size: int, closes: bool
) -> None:
    edge = entry(ok, "alice write a", anonymous_body=1000)
    fields = {"content-length": str(size), **({"authorization": user} if user else {})}
    wire = rsgi.Wire([b"x" * 100] * (size // 100))
    status, headers, _ = await call(edge, "PUT", "/v2/a/manifests/v1", fields, wire)
    assert status == (403 if user else 401)
    assert (headers.get("connection") == "close") == closes
