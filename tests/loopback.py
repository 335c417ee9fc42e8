"""A registry on loopback for the client's tests: small, in memory, and as awkward as it is told."""

import asyncio
import base64
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, urlsplit

from retinue.client.client import Client
from retinue.client.credentials.credential import Credential
from retinue.client.transfer import one
from retinue.client.transport import Settings, Transport
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.oci.digest import Digest, InvalidDigest
from retinue.oci.manifest import Manifest, Unreadable
from retinue.oci.readers.table import read
from retinue.oci.reference import valid_tag
from retinue.oci.referrers import referrer_entry
from retinue.oci.stores import Sink
from retinue.oci.tags import cosign_tag
from retinue.wire import ranges
from retinue.wire.codes import Code, error_body
from retinue.wire.ranges import MalformedRange, Unsatisfiable

USER = "user:secret"
TOKEN = "a-token"


class Embeds(Enum):
    """What comes of the question for manifests in lists of papers."""

    NOTHING = "it is ignored"
    REFUSED = "it is refused with 400"
    WRONG = "other bytes are sent"
    ALL = "they are sent, and that the list is complete"


@dataclass(slots=True)
class Switches:
    """How the registry behaves. `answers` are given to the next requests instead of real ones."""

    referrers: bool = True
    attached: bool = False
    """Whether it lists what cosign's tags attach, as our own registry."""
    embeds: Embeds = Embeds.NOTHING
    bearer: bool = False
    basic: bool = False
    mounts: bool = True
    at_once: bool = True
    digest_headers: bool = True
    page: int = 1000
    conditional: bool = False
    answers: deque[tuple[int, Mapping[str, str]]] = field(default_factory=deque)
    cut_blobs_after: deque[int] = field(default_factory=deque)
    drop_chunks: int = 0
    corrupt_blobs: bool = False
    lose: deque[str] = field(default_factory=deque)
    """Tags whose next write is undone by another writer right afterwards."""


@dataclass(slots=True)
class Reply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    """Close the connection after so many bytes of the body."""


@dataclass(slots=True)
class Call:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Repo:
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)


class Registry:
    """`calls` is what was asked, in order."""

    def __init__(self, switches: Switches | None = None) -> None:
        self.switches = switches or Switches()
        self.repos: dict[str, Repo] = {}
        self.uploads: dict[str, bytearray] = {}
        self.calls: list[Call] = []
        self.tokens: list[Call] = []
        self.host = ""
        self.connections = 0

    def count(self, method: str, part: str = "") -> int:
        return sum(1 for call in self.calls if call.method == method and part in call.path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while call := await _receive(reader):
            reply = self.answer(call)
            if not _send(writer, call, reply):
                return
            await writer.drain()

    def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        if call.path == "/token":
            return self._token(call)
        if self.switches.answers:
            status, headers = self.switches.answers.popleft()
            return Reply(status, dict(headers))
        if (refused := self._authorise(call)) is not None:
            return refused
        if call.path == "/v2/":
            return Reply(200)
        if call.path == "/v2/_catalog":
            return self._page(call, "repositories", sorted(self.repos))
        if call.path.startswith("/uploads/"):
            return self._upload(call)
        return self._route(call)

    def _route(self, call: Call) -> Reply:
        for word in ("manifests", "blobs", "tags", "referrers"):
            name, found, rest = call.path.removeprefix("/v2/").rpartition(f"/{word}/")
            if word == "blobs" and call.path.endswith("/blobs/uploads/"):
                name = call.path.removeprefix("/v2/").removesuffix("/blobs/uploads/")
                return self._start(call, name)
            if found:
                return self._resource(call, word, name, rest)
        return error(404, Code.UNSUPPORTED)

    def _resource(self, call: Call, word: str, name: str, rest: str) -> Reply:
        known = self.repos.get(name)
        if word == "manifests":
            if call.method == "PUT":
                return self._put(call, self.repos.setdefault(name, Repo()), rest)
            return self._manifest(call, known, rest)
        if word == "blobs":
            return self._blob(call, known, rest)
        if word == "tags":
            if known is None:
                return error(404, Code.NAME_UNKNOWN)
            return self._page(call, "tags", sorted(known.tags))
        return self._referrers(call, known or Repo(), rest)

    # ---- authorisation

    def _token(self, call: Call) -> Reply:
        self.tokens.append(call)
        expected = f"Basic {base64.b64encode(USER.encode()).decode()}"
        form = parse_qs(call.body.decode())
        if call.headers.get("authorization") == expected or form.get("refresh_token") == [
            "refresh"
        ]:
            token = f"{TOKEN}-{len(self.tokens)}"
            return Reply(200, {}, json.dumps({"token": token, "expires_in": 300}).encode())
        return Reply(401, {}, b'{"error":"invalid_grant"}')

    def _authorise(self, call: Call) -> Reply | None:
        sent = call.headers.get("authorization", "")
        if self.switches.basic and sent != f"Basic {base64.b64encode(USER.encode()).decode()}":
            return error(401, Code.UNAUTHORIZED, {"www-authenticate": 'Basic realm="here"'})
        if self.switches.bearer and not sent.startswith(f"Bearer {TOKEN}"):
            realm = f"http://{self.host}/token"
            challenge = f'Bearer realm="{realm}",service="here",scope="repository:x:pull"'
            return error(401, Code.UNAUTHORIZED, {"www-authenticate": challenge})
        return None

    # ---- manifests

    def _put(self, call: Call, repo: Repo, reference: str) -> Reply:
        algorithm = reference.partition(":")[0] if ":" in reference else "sha256"
        media_type = call.headers.get("content-type", "")
        try:
            manifest = read(call.body, media_type, algorithm)
        except (Unreadable, InvalidDigest):
            return error(400, Code.MANIFEST_INVALID)
        if ":" in reference and manifest.digest != reference:
            return error(400, Code.DIGEST_INVALID)
        match = call.headers.get("if-match")
        if self.switches.conditional and match and match != f'"{repo.tags.get(reference)}"':
            return Reply(412)
        missing = [b for b in manifest.blobs if b.digest not in repo.blobs]
        missing += [c for c in manifest.children if c.digest not in repo.manifests]
        if missing and ":" in reference:
            return error(400, Code.MANIFEST_BLOB_UNKNOWN)
        before = repo.tags.get(reference)
        repo.manifests[manifest.digest] = (media_type, call.body)
        headers = {"location": f"/v2/x/manifests/{manifest.digest}"}
        for tag in [reference] if ":" not in reference else call.query.get("tag", []):
            repo.tags[tag] = manifest.digest
            headers[names.HEADER_TAG] = tag
        if self.switches.lose and self.switches.lose[0] == reference:
            self.switches.lose.popleft()
            repo.tags.pop(reference) if before is None else repo.tags.update({reference: before})
        if self.switches.digest_headers:
            headers[names.HEADER_DIGEST] = manifest.digest
        if self.switches.referrers and manifest.subject:
            headers[names.HEADER_SUBJECT] = manifest.subject.digest
        return Reply(201, headers)

    def _manifest(self, call: Call, repo: Repo | None, reference: str) -> Reply:
        digest = repo.tags.get(reference, reference) if repo else ""
        if repo is None or digest not in repo.manifests:
            return error(404, Code.MANIFEST_UNKNOWN)
        if call.method == "DELETE":
            if valid_tag(reference):
                del repo.tags[reference]
            else:
                del repo.manifests[digest]
                repo.tags = {t: d for t, d in repo.tags.items() if d != digest}
            return Reply(202)
        media_type, raw = repo.manifests[digest]
        headers = {"content-type": media_type}
        if self.switches.conditional:
            headers["etag"] = f'"{digest}"'
        if self.switches.digest_headers:
            headers[names.HEADER_DIGEST] = digest
        return Reply(200, headers, raw)

    def _referrers(self, call: Call, repo: Repo, subject: str) -> Reply:
        if not self.switches.referrers:
            return error(404, Code.UNSUPPORTED)
        found = [read(raw, media_type) for media_type, raw in repo.manifests.values()]
        papers = [m for m in found if m.subject and m.subject.digest == subject]
        if "attached" in call.query:
            tags = [cosign_tag(Digest(subject), suffix) for suffix in ("sig", "att", "sbom")]
            papers = [m for m in found if m.digest in {repo.tags.get(tag or "") for tag in tags}]
        start = int(call.query.get("from", ["0"])[0])
        shown = papers[start : start + self.switches.page]
        document = {"schemaVersion": 2, "mediaType": names.OCI_INDEX}
        if "embed" in call.query and self.switches.embeds is Embeds.REFUSED:
            return error(400, Code.UNSUPPORTED)
        body = {**document, "manifests": [self._entry(paper, call) for paper in shown]}
        headers = {"content-type": names.OCI_INDEX}
        if self.switches.attached:
            headers[names.HEADER_ATTACHED] = "tag" if "attached" in call.query else "subject"
            if "embed" in call.query and self.switches.embeds is Embeds.ALL:
                headers[names.HEADER_ATTACHED] = "subject, tag"
        if start + len(shown) < len(papers):
            headers["link"] = f'<{call.path}?from={start + len(shown)}>; rel="next"'
        return Reply(200, headers, json.dumps(body).encode())

    def _entry(self, paper: Manifest, call: Call) -> dict[str, Any]:
        entry = referrer_entry(paper)
        if "embed" in call.query and self.switches.embeds in {Embeds.ALL, Embeds.WRONG}:
            wrong = b" " * (self.switches.embeds is Embeds.WRONG)
            entry["data"] = base64.b64encode(paper.raw + wrong).decode()
        return entry

    def _page(self, call: Call, key: str, values: list[str]) -> Reply:
        last = call.query.get("last", [""])[0]
        size = min(int(call.query.get("n", ["1000"])[0]), self.switches.page)
        shown = [value for value in values if value > last][:size]
        headers = {}
        if shown and shown[-1] != values[-1]:
            headers["link"] = f'<{call.path}?n={size}&last={shown[-1]}>; rel="next"'
        return Reply(200, headers, json.dumps({key: shown}).encode())

    # ---- blobs

    def _blob(self, call: Call, repo: Repo | None, digest: str) -> Reply:
        if repo is None or digest not in repo.blobs:
            return error(404, Code.BLOB_UNKNOWN)
        if call.method == "DELETE":
            del repo.blobs[digest]
            return Reply(202)
        data = repo.blobs[digest]
        if self.switches.corrupt_blobs:
            data = bytes([data[0] ^ 1]) + data[1:]
        cut = self.switches.cut_blobs_after
        end = cut.popleft() if cut and call.method == "GET" else None
        if header := call.headers.get("range"):
            try:
                selected = ranges.parse_range(header, len(data))
            except Unsatisfiable:
                return Reply(416)
            if selected:
                served = ranges.content_range(*selected, len(data))
                return Reply(206, {"content-range": served}, data[slice(*selected)], end)
        return Reply(200, {}, data, end)

    def _start(self, call: Call, name: str) -> Reply:
        repo = self.repos.setdefault(name, Repo())
        if call.query.get("mount"):
            [digest] = call.query["mount"]
            other = self.repos.get(call.query.get("from", [""])[0], Repo())
            if self.switches.mounts and digest in other.blobs:
                repo.blobs[digest] = other.blobs[digest]
                return Reply(201, {"location": f"/v2/{name}/blobs/{digest}"})
        if self.switches.at_once and call.query.get("digest"):
            return self._keep(name, call.query["digest"][0], call.body)
        session = f"{name.replace('/', '.')}~{len(self.uploads)}"
        self.uploads[session] = bytearray()
        return Reply(202, {"location": f"/uploads/{session}?state=1"})

    def _upload(self, call: Call) -> Reply:
        session = call.path.removeprefix("/uploads/")
        if session not in self.uploads:
            return error(404, Code.BLOB_UPLOAD_UNKNOWN)
        kept = self.uploads[session]
        standing = {"location": call.path, "range": ranges.upload_range(len(kept))}
        if call.method == "GET":
            return Reply(204, standing)
        if call.method == "PATCH":
            return self._chunk(call, kept)
        kept += call.body
        name = session.partition("~")[0].replace(".", "/")
        return self._keep(name, call.query["digest"][0], bytes(kept))

    def _chunk(self, call: Call, kept: bytearray) -> Reply:
        if self.switches.drop_chunks:
            self.switches.drop_chunks -= 1
            kept += call.body[: len(call.body) // 2]
            return Reply(202, {}, cut=-1)
        try:
            start, end = ranges.parse_content_range(call.headers["content-range"])
        except MalformedRange:
            return Reply(416)
        if start != len(kept) or end - start != len(call.body):
            return Reply(416)
        kept += call.body
        return Reply(202, {"location": call.path, "range": ranges.upload_range(len(kept))})

    def _keep(self, name: str, digest: str, data: bytes) -> Reply:
        if digests.of(data, digest.partition(":")[0]) != Digest(digest):
            return error(400, Code.DIGEST_INVALID)
        self.repos.setdefault(name, Repo()).blobs[digest] = data
        return Reply(201, {"location": f"/v2/{name}/blobs/{digest}"})


def error(status: int, code: Code, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, headers or {}, error_body(code))


async def _receive(reader: asyncio.StreamReader) -> Call | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Call(method, parts.path, parse_qs(parts.query), headers, body)


def _send(writer: asyncio.StreamWriter, call: Call, reply: Reply) -> bool:
    """Whether the connection goes on."""
    if reply.cut == -1:
        return False
    headers = {**reply.headers, "content-length": str(len(reply.body))}
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {reply.status} \r\n{text}\r\n".encode())
    if call.method != "HEAD":
        writer.write(reply.body[: reply.cut])
    return reply.cut is None


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """`host:port` of a server whose connections are all gone when the block has ended."""
    running: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            running[task] = writer
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 26, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in running.values():
            writer.close()
        await asyncio.gather(*running)
        closing = (writer.wait_closed() for writer in running.values())
        await asyncio.gather(*closing, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def serving(switches: Switches | None = None) -> AsyncIterator[Registry]:
    """A registry at `host` for as long as the block lasts."""
    registry = Registry(switches)
    async with listening(registry.serve) as host:
        registry.host = host
        yield registry


async def at_once(_: float) -> None:
    """A sleep that only lets others run."""
    await asyncio.sleep(0)


def client(credential: Credential | None = None, **settings: Any) -> Client:
    """A client that waits for nothing; `async with` closes it."""
    transport = Transport(Settings(**settings), random=lambda: 0.5, sleep=at_once)
    return Client(transport, lambda host, repository: credential)


async def fill(store: Sink, manifests: Sequence[Manifest], blobs: Iterable[bytes]) -> None:
    """Put blobs, then manifests in their order."""
    for data in blobs:
        await store.put_blob(digests.of(data), len(data), one(data))
    for manifest in manifests:
        await store.put_manifest(manifest)
