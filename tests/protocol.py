"""A client that speaks the distribution protocol and nothing else, with every header in sight."""

import http.client
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apsw

from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from serving import Reply, Serving

ALGORITHMS = ("sha256", "sha512")
CODES = frozenset(
    {
        *("BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DENIED"),
        *("DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN"),
        *("NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "TOOMANYREQUESTS", "UNAUTHORIZED"),
        "UNSUPPORTED",
    }
)
"""Every code of the specification, written down again: the code under test has its own list."""
_NEXT = re.compile(r'<([^<>]+)>; rel="next"')


class Client:
    """One connection that is kept. Repeated headers are joined by commas (RFC 9110 5.3)."""

    def __init__(self, serving: Serving, user: str = "") -> None:
        self._user = user
        self._connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def call(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request. A body of parts is sent chunked, without Content-Length."""
        try:
            self._connection.request(method, path, body, dict(headers or {}))
            answer = self._connection.getresponse()
            found: dict[str, str] = {}
            for name, value in answer.getheaders():
                key = name.lower()
                found[key] = f"{found[key]}, {value}" if key in found else value
            return Reply(answer.status, found, answer.read())
        except BaseException:
            self._connection.close()  # the next request gets a new one
            raise

    def get(self, path: str, **headers: str) -> Reply:
        return self.call("GET", path, None, _named(headers))

    def head(self, path: str, **headers: str) -> Reply:
        return self.call("HEAD", path, None, _named(headers))

    def post(self, path: str, body: bytes | Iterable[bytes] | None = None, **headers: str) -> Reply:
        return self.call("POST", path, body, _named(headers))

    def put(self, path: str, body: bytes | Iterable[bytes] | None = None, **headers: str) -> Reply:
        return self.call("PUT", path, body, _named(headers))

    def patch(self, path: str, body: bytes | Iterable[bytes], **headers: str) -> Reply:
        return self.call("PATCH", path, body, _named(headers))

    def delete(self, path: str, **headers: str) -> Reply:
        return self.call("DELETE", path, None, _named(headers))

    # ---- moves that need several requests, or that many tests make

    def begin(self, name: str, query: str = "") -> str:
        """The path of a new upload session."""
        answer = self.post(f"/v2/{name}/blobs/uploads/{query}")
        assert answer.status == 202
        return path_of(answer.headers["location"])

    def push_blob(self, name: str, data: bytes, algorithm: str = "sha256") -> Digest:
        digest = digests.of(data, algorithm)
        answer = self.post(f"/v2/{name}/blobs/uploads/?digest={digest}", data)
        assert answer.status == 201, answer.body
        return digest

    def push(self, name: str, manifest: Manifest, reference: str | None = None) -> Reply:
        """By digest, or at a tag."""
        path = f"/v2/{name}/manifests/{reference or manifest.digest}"
        answer = self.put(path, manifest.raw, content_type=manifest.media_type)
        assert answer.status == 201, answer.body
        return answer

    def push_all(
        self, name: str, blobs: Iterable[bytes], *manifests: Manifest, algorithm: str = "sha256"
    ) -> None:
        for data in blobs:
            self.push_blob(name, data, algorithm)
        for manifest in manifests:
            self.push(name, manifest)

    def tags(self, name: str, query: str = "") -> list[str]:
        answer = self.get(f"/v2/{name}/tags/list{query}")
        assert answer.status == 200, answer.body
        document = json.loads(answer.body)
        assert document["name"] == name
        found: list[str] = document["tags"]
        return found

    def referrers(self, name: str, subject: str, query: str = "") -> list[dict[str, Any]]:
        """The entries of one page, after looking at all that a client relies on."""
        answer = self.get(f"/v2/{name}/referrers/{subject}{query}")
        assert (answer.status, answer.headers["content-type"]) == (200, names.OCI_INDEX)
        document = json.loads(answer.body)
        assert (document["schemaVersion"], document["mediaType"]) == (2, names.OCI_INDEX)
        found: list[dict[str, Any]] = document["manifests"]
        return found


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def path_of(location: str) -> str:
    """The path and query of a Location, which may be a whole URL."""
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def with_digest(location: str, digest: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def next_page(answer: Reply) -> str | None:
    """The target of `Link`; None when there is no such header."""
    if "link" not in answer.headers:
        return None
    match = _NEXT.fullmatch(answer.headers["link"])
    assert match is not None, answer.headers["link"]
    return path_of(match[1])


def refused(answer: Reply, status: int, *codes: str) -> None:
    """That it is an error of the specification's shape, with one of these codes."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert code_of(answer) in codes


def code_of(answer: Reply) -> str:
    """The code of an error document, after looking at its shape."""
    document = json.loads(answer.body)
    assert set(document) == {"errors"}
    (error,) = document["errors"]
    assert set(error) <= {"code", "message", "detail"}
    assert isinstance(error["message"], str)
    assert error["code"] in CODES
    return str(error["code"])


def told(answer: Reply, method: str = "GET") -> None:
    """That the fault is the client's, and that he can read which."""
    assert 400 <= answer.status < 500, answer.body
    if method == "HEAD":
        assert answer.body == b""
    elif "x-request-id" in answer.headers:  # else HTTP itself forbids it, and no code applies
        assert answer.headers["content-type"] == "application/json"
        code_of(answer)


# ---- what a server holds, seen from outside


@contextmanager
def unchanged(serving: Serving) -> Iterator[None]:
    """The store is in the end what it was before, file by file and row by row."""
    before = files(serving), rows(serving)
    yield
    assert (files(serving), rows(serving)) == before


def assert_no_fault(serving: Serving) -> None:
    """Nothing that a client did was logged as a fault of ours."""
    assert "Traceback" not in serving.log
    assert "error" not in serving.log.lower()


def files(serving: Serving) -> set[str]:
    """Every stored copy and every file of an upload."""
    data = Path(serving.data)
    folders = (data / "blobs", data / "uploads")
    return {str(each) for folder in folders for each in folder.rglob("*") if each.is_file()}


def processes(serving: Serving) -> Sequence[int]:
    """The workers of a server."""
    assert serving.process is not None
    pid = serving.process.pid
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found]


def held(serving: Serving) -> int:
    """How many stored copies are open in the server."""
    blobs = str(Path(serving.data) / "blobs")
    found = 0
    for pid in processes(serving):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found += str(each.readlink()).startswith(blobs)
            except FileNotFoundError:
                continue  # it was closed just now
    return found


def memory(serving: Serving) -> dict[int, int]:
    """Bytes that are each worker's own, by process: its part of shared pages is counted (PSS)."""
    return {pid: _figure(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in processes(serving)}


def peaks(serving: Serving) -> dict[int, int]:
    """The most bytes that each worker ever had in memory (VmHWM)."""
    return {pid: _figure(Path(f"/proc/{pid}/status"), "VmHWM:") for pid in processes(serving)}


def _figure(file: Path, name: str) -> int:
    (line,) = [line for line in file.read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) * 1024


def rows(serving: Serving) -> dict[str, int]:
    """How many rows each table of the catalog has that requests write to."""
    connection = apsw.Connection(f"{serving.data}/catalog.db", flags=apsw.SQLITE_OPEN_READONLY)
    try:
        counts = {}
        for table in _TABLES:
            ((count,),) = connection.execute(f"select count(*) from {table}")
            assert isinstance(count, int)
            counts[table] = count
        return counts
    finally:
        connection.close()


_TABLES = (
    *("repository", "object", "object_bytes", "repo_blob", "manifest", "link", "paper"),
    *("tag", "upload", "candidate", "trash"),
)


def in_flight(serving: Serving) -> int:
    """Requests that are being answered, without this question."""
    lines = serving.get("/metrics").body.decode().splitlines()
    (line,) = [each for each in lines if each.startswith("retinue_requests_in_flight ")]
    return int(line.split()[1]) - 1


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Poll what no event tells."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
