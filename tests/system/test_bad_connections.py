"""Connections that break HTTP's own rules, stop, are cut, or drip: bounded, and nothing is kept."""

import select
import socket
import struct
from collections.abc import Iterator, Sequence
from random import Random

import pytest

from builders import blobs_of, image
from protocol import (
    Client,
    assert_no_fault,
    code_of,
    files,
    held,
    in_flight,
    path_of,
    unchanged,
    until,
)
from retinue.oci import digest as digests
from retinue.oci import names
from serving import Reply, Serving

NAME = "bad/connections"
LARGE = Random(4).randbytes(700_000)
SMALL = b"never complete"
OPTIONS = {"header_timeout": "1s", "body_timeout": "700ms", "workers": "2"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with little patience."""
    serving = Serving(str(tmp_path_factory.mktemp("bad") / "data"), OPTIONS)
    serving.start()
    client = Client(serving)
    client.push_all(NAME, blobs_of().values(), image())
    client.push(NAME, image(), "v1")
    client.close()
    yield serving
    serving.stop()
    assert_no_fault(serving)


@pytest.fixture
def nothing_kept(site: Serving) -> Iterator[None]:
    with unchanged(site):
        yield
        until(lambda: in_flight(site) == 0)


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: localhost",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def post(data: bytes) -> bytes:
    return request("POST", f"/v2/{NAME}/blobs/uploads/?digest={digests.of(data)}", data)


def put_manifest() -> bytes:
    kind = f"content-type: {names.OCI_MANIFEST}"
    return request("PUT", f"/v2/{NAME}/manifests/v2", image().raw, kind)


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes; a reset ends it too."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionResetError:
        return found
    return found


def exchange(site: Serving, sent: bytes, *, half_close: bool = False) -> bytes:
    with site.connect() as connection:
        try:
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:  # it is closed already: what it said before is to be read
            return received(connection)
        return received(connection)


def parsed(answer: bytes) -> Reply:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    found = dict(line.lower().split(": ", 1) for line in lines[1:])
    return Reply(int(lines[0].split()[1]), found, body)


# ---- not HTTP

NO_HTTP: dict[str, bytes] = {
    "noise": Random(5).randbytes(500),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /v2/\r\n\r\n",
    "HTTP/3.7": b"GET /v2/ HTTP/3.7\r\nhost: localhost\r\n\r\n",
    "no target": b"GET  HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "no method": b" /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "a header without colon": b"GET /v2/ HTTP/1.1\r\nhost x\r\n\r\n",
    "a header with a zero byte": b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\na: \0\r\n\r\n",
    "a name with a space": b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\na b: c\r\n\r\n",
    "two lengths": b"PUT /v2/ HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a length below zero": b"PUT /v2/ HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
    "a length with a plus": b"PUT /v2/ HTTP/1.1\r\nhost: localhost\r\ncontent-length: +1\r\n\r\na",
    "a length too large": b"PUT /v2/ HTTP/1.1\r\nhost: localhost\r\ncontent-length: "
    + b"9" * 40
    + b"\r\n\r\n",
    "a length in foreign digits": b"PUT /v2/ HTTP/1.1\r\nhost: localhost\r\ncontent-length: \xb2\r\n\r\na",
    "an unknown coding": b"PUT /v2/ HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\nab",
    "a huge header": b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\na: "
    + b"b" * 2_000_000
    + b"\r\n\r\n",
    "a thousand headers": b"GET /v2/ HTTP/1.1\r\n" + b"a: b\r\n" * 1000 + b"\r\n",
    "a huge target": b"GET /" + b"a" * 2_000_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "a bad chunk": request("PUT", f"/v2/{NAME}/manifests/v2").replace(
        b"content-length: 0", b"transfer-encoding: chunked"
    )
    + b"zz\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than it says": request("PUT", f"/v2/{NAME}/manifests/v2").replace(
        b"content-length: 0", b"transfer-encoding: chunked"
    )
    + b"1\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP)
def test_what_is_not_http_is_refused_or_cut_off(site: Serving, sent: bytes) -> None:
    answer = exchange(site, sent)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert site.get("/v2/").status == 200


@pytest.mark.usefixtures("nothing_kept")
def test_a_length_and_chunks_at_once_hide_no_second_request(site: Serving) -> None:
    hidden = b"DELETE /v2/%b/manifests/v1 HTTP/1.1\r\nhost: localhost\r\n\r\n" % NAME.encode()
    body = b"0\r\n\r\n" + hidden
    for headers in (
        f"content-length: {len(body)}\r\ntransfer-encoding: chunked",
        f"transfer-encoding: chunked\r\ncontent-length: {len(body)}",
    ):
        head = f"PUT /v2/{NAME}/manifests/v2 HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n"
        answer = exchange(site, head.encode() + body, half_close=True)
        assert answer.count(b"HTTP/1.1 ") <= 1 or b"HTTP/1.1 202" not in answer
    assert site.get(f"/v2/{NAME}/manifests/v1").status == 200


# ---- bodies that end early

WHOLE: dict[str, bytes] = {
    "manifest": put_manifest(),
    "small blob": post(SMALL),
    "large blob": post(LARGE),
}


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("sent", WHOLE.values(), ids=WHOLE)
def test_a_body_shorter_than_it_says(site: Serving, sent: bytes) -> None:
    answer = parsed(exchange(site, sent[:-1], half_close=True))
    assert (answer.status, code_of(answer)) == (400, "SIZE_INVALID")


def cut(site: Serving, sent: bytes, *, reset: bool) -> None:
    """Send it and go away, politely or not."""
    with site.connect() as connection:
        connection.sendall(sent)
        if reset:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("sent", WHOLE.values(), ids=WHOLE)
def test_a_connection_cut_anywhere_leaves_nothing(site: Serving, sent: bytes, reset: bool) -> None:
    random = Random(len(sent))
    body = sent.index(b"\r\n\r\n") + 4
    points = [1, body - 1, body, body + 1, len(sent) - 1]
    points += [random.randrange(1, len(sent)) for _ in range(20)]
    for point in points:
        cut(site, sent[:point], reset=reset)
    until(lambda: in_flight(site) == 0)
    assert site.get(f"/v2/{NAME}/manifests/v2").status == 404
    assert site.get(f"/v2/{NAME}/blobs/{digests.of(LARGE)}").status == 404
    assert site.get(f"/v2/{NAME}/blobs/{digests.of(SMALL)}").status == 404


@pytest.mark.parametrize("ranged", [True, False], ids=["chunk", "stream"])
def test_a_session_survives_cuts_and_ends_whole(site: Serving, ranged: bool) -> None:
    """A chunk that was cut counts for nothing, a stream for what came; either way one goes on."""
    data = LARGE + str(ranged).encode()
    random = Random(7)
    location = path_of(site.call("POST", f"/v2/{NAME}/blobs/uploads/").headers["location"])
    sizes = [0]
    for _ in range(6):
        start = sizes[-1]
        span = f"content-range: {start}-{len(data) - 1}" if ranged else "x: y"
        sent = request("PATCH", location, data[start:], span)
        end = random.randrange(len(sent) - len(data[start:]) + 1, len(sent))
        assert parsed(exchange(site, sent[:end], half_close=True)).status == 400
        sizes.append(size_of(site, location))
    assert sizes == ([0] * 7 if ranged else sorted(set(sizes)))
    done = site.call("PUT", f"{location}?digest={digests.of(data)}", data[sizes[-1] :])
    assert done.status == 201, done.body
    assert site.get(f"/v2/{NAME}/blobs/{digests.of(data)}").body == data
    assert not any("/uploads/" in each for each in files(site))


def size_of(site: Serving, location: str) -> int:
    last = int(site.get(location).headers["range"].partition("-")[2])
    return last + 1 if last else 0


# ---- slow ones


def closed_or(connection: socket.socket) -> bytes:
    """What has arrived; nothing when the server has closed."""
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def drip(site: Serving, connections: Sequence[socket.socket], data: bytes) -> None:
    """A byte to each, again and again, until the server has closed them all."""
    waiting = {connection.fileno(): connection for connection in connections}
    for at in range(len(data)):
        for connection in list(waiting.values()):
            try:
                connection.send(data[at : at + 1])
            except OSError:
                del waiting[connection.fileno()]
        readable, _, _ = select.select(list(waiting), [], [], 0.05)
        for number in readable:
            if not closed_or(waiting[number]):
                del waiting[number]
        if not waiting:
            return
    raise AssertionError(f"{len(waiting)} connections were never closed")


@pytest.mark.usefixtures("nothing_kept")
def test_headers_that_drip_are_cut_off_while_others_are_served(site: Serving) -> None:
    connections = [site.connect() for _ in range(100)]
    assert site.get("/v2/").status == 200
    drip(site, connections, b"GET /v2/ HTTP/1.1\r\na: " + b"b" * 1000)
    for connection in connections:
        connection.close()
    assert site.get("/v2/").status == 200


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("sent", WHOLE.values(), ids=WHOLE)
def test_a_body_that_stops_is_told_and_cut_off(site: Serving, sent: bytes) -> None:
    connections = [site.connect() for _ in range(20)]
    for connection in connections:
        connection.sendall(sent[:-1])
    assert site.get("/v2/").status == 200
    for connection in connections:
        answer = parsed(received(connection))
        assert (answer.status, code_of(answer)) == (408, "BLOB_UPLOAD_INVALID")
        assert answer.headers["connection"] == "close"
        connection.close()


@pytest.mark.parametrize("span", ["x: y", "range: bytes=1-"], ids=["whole", "part"])
def test_a_client_that_takes_nothing_is_given_up(site: Serving, span: str) -> None:
    client = Client(site)
    digest = client.push_blob(NAME, LARGE * 30)
    client.close()
    before = held(site)
    connections = [site.connect() for _ in range(5)]
    for connection in connections:
        connection.sendall(request("GET", f"/v2/{NAME}/blobs/{digest}", b"", span))
        assert connection.recv(11) == b"HTTP/1.1 20"
    assert held(site) == before + len(connections)
    until(lambda: held(site) == before)
    for connection in connections:
        connection.close()


def chunked(end: bytes) -> bytes:
    """A manifest in one chunk, and what follows it."""
    head, _, body = put_manifest().partition(b"\r\n\r\n")
    head = head.replace(b"content-length: %d" % len(body), b"transfer-encoding: chunked")
    return b"%b\r\nconnection: close\r\n\r\n%x\r\n%b\r\n%b" % (head, len(body), body, end)


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("end", [b"", b"5\r\n{", b"zz\r\n"], ids=["nothing", "half", "noise"])
def test_chunks_that_end_early_are_no_whole(site: Serving, end: bytes) -> None:
    """Storage rule 6: even if what came looks like a manifest."""
    answer = parsed(exchange(site, chunked(end), half_close=True))
    assert (answer.status, code_of(answer)) == (400, "SIZE_INVALID")


def test_chunks_that_end_as_they_should_are_the_whole(site: Serving) -> None:
    assert parsed(exchange(site, chunked(b"0\r\n\r\n"))).status == 201
