"""The stack over HTTP/1.1, on loopback only: anyone who reaches it gets any identity."""

import json
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET6
from typing import ClassVar

from retinue.devstack.errors import NotLoopback
from retinue.devstack.stack import MAX_BODY, Answer, Asked, Stack
from retinue.devstack.state import State, open_state

_IDLE = 60.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    stack: ClassVar[Stack]

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        size = self.headers.get("Content-Length", "0")
        if not size.isdecimal() or "Transfer-Encoding" in self.headers:
            self._send(Answer(411, b"a length is needed", "text/plain"), last=True)
        elif len(size) > 12 or int(size) > MAX_BODY:
            self._send(Answer(413, b"too large", "text/plain"), last=True)
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(int(size)))
            self._send(self.stack.answer(asked))

    def _send(self, answer: Answer, *, last: bool = False) -> None:
        self.send_response(answer.status)
        headers = {"Content-Type": answer.type, "Content-Length": str(len(answer.body))}
        for name, value in {**headers, **answer.headers}.items():
            self.send_header(name, value)
        if last:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it
        """Nothing: standard error belongs to the command line."""


class _Server6(ThreadingHTTPServer):
    address_family = AF_INET6


class Server:
    """A stack that listens. `url` is where; `folder` holds its state and what clients need."""

    def __init__(self, folder: Path, host: str, port: int, clock: Callable[[], datetime]) -> None:
        check_loopback(host)
        handler: type[_Handler] = type("Handler", (_Handler,), {})
        self._http = (_Server6 if ":" in host else ThreadingHTTPServer)((host, port), handler)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._http.server_address[1]}"
        try:
            self.state: State = open_state(folder, clock())
            self.stack = handler.stack = Stack(self.state, self.url, clock)
            self._publish()
        except BaseException:
            self._http.server_close()
            raise

    def _publish(self) -> None:
        for name, document in self.stack.documents().items():
            text = json.dumps(document, indent=1).encode() + b"\n"
            self.state.folder.write_atomically(name, text, 0o644)

    def run(self) -> None:
        """Serve until `stop`, from another thread, or KeyboardInterrupt."""
        self._http.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        self._http.shutdown()

    def close(self) -> None:
        self._http.server_close()
        self.stack.close()


def check_loopback(host: str) -> None:
    """Raises NotLoopback."""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise NotLoopback(host)
