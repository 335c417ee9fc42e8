"""One POST to a signing service: bounded, never redirected, and its failure says whose."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from retinue.attest import posting
from retinue.attest.errors import SignerFailed


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = int(self.path.removeprefix("/"))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200")
        self.end_headers()
        self.wfile.write(body + self.headers.get("Authorization", "").encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def serving() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_answer_is_the_body() -> None:
    with serving() as url:
        assert posting.post(f"{url}/201", b"asked ", {"Authorization": "me"}) == b"asked me"


@pytest.mark.parametrize("status", [302, 400, 429, 500])
def test_another_status_is_told_with_its_text(status: int) -> None:
    with serving() as url, pytest.raises(SignerFailed, match=f"{status} why") as caught:
        posting.post(f"{url}/{status}", b"why", {})

    assert caught.value.signer == f"{url}/{status}"


def test_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "MAX_ANSWER", 10)
    with serving() as url, pytest.raises(SignerFailed, match="more than 10 bytes"):
        posting.post(f"{url}/200", b"x" * 11, {})


def test_who_is_not_there_is_named() -> None:
    with serving() as url:
        pass

    with pytest.raises(SignerFailed, match="cannot be reached"):
        posting.post(f"{url}/200", b"", {})


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.test", ""])
def test_other_addresses_are_not_asked(url: str) -> None:
    with pytest.raises(SignerFailed, match="no http or https"):
        posting.post(url, b"", {})
