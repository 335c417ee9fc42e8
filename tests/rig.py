"""The registry as one application in this process, over real stores: requests in, answers out.

`rig` is a fixture to import into a `conftest.py` beside `catalog`.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import rsgi
from builders import blobs_of
from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.registry.access.gate import Gate, OpenGate
from retinue.registry.catalog.db import ALL, Catalog, Change, Sql
from retinue.registry.config import Config
from retinue.registry.content.cache import ByteCache
from retinue.registry.content.services import Services
from retinue.registry.http.entry import Entry
from retinue.registry.http.table import TABLE
from retinue.registry.storage.files import FileBlobStore

NAME = "team/app"
UPLOADS = f"/v2/{NAME}/blobs/uploads/"
SECRET = bytes(32)
START = 1_800_000_000_000_000
HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` by lower-case name; of a repeated one the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    tags: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The code of the one error that it reports."""
        (error,) = json.loads(self.body)["errors"]
        return str(error["code"])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        return self.headers["location"]


@dataclass(slots=True)
class Wire:
    """A request body as it arrives. Without an end the client goes away after the last part."""

    parts: Sequence[bytes] = ()
    whole: bool = True
    before: Callable[[int], Any] | None = None
    """Awaited before part number n is delivered."""
    version: str = "1.1"
    """Of HTTP."""

    async def arriving(self) -> AsyncIterator[bytes]:
        for number, part in enumerate(self.parts):
            if self.before is not None:
                await self.before(number)
            yield part


@dataclass(slots=True)
class Rig:
    """`now` is the registry's clock, in microseconds; it moves only by hand."""

    catalog: Catalog
    blobs: FileBlobStore
    config: Config
    boot: str = "boot-1"
    gate: Gate = field(default_factory=OpenGate)
    now: int = START
    entry: Entry = field(init=False)
    plain: Entry = field(init=False)
    """One that remembers no answers, and records its pulls elsewhere."""
    hits: int = 0
    """Requests that were answered from memory."""

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, **changes: Any) -> None:
        """A new process on the same data; `changes` are options of the configuration."""
        self.config = replace(self.config, **changes)
        self.entry = Entry(self.services(), TABLE, mark="rig")
        self.plain = Entry(self.services(), TABLE, mark="plain")

    def services(self) -> Services:
        return Services(
            catalog=self.catalog,
            blobs=self.blobs,
            config=self.config,
            clock=lambda: self.now,
            secret=SECRET,
            access=self.gate,
            cache=ByteCache(1 << 20),
            boot=self.boot,
        )

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | Wire = b"",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """One request. Headers as given, and a Host: no Content-Length comes by itself."""
        wire = body if isinstance(body, Wire) else Wire([body] if body else [])
        path, _, query = path.partition("?")
        scope = rsgi.Scope(method, path, query, rsgi.hosted(headers), wire.version)
        connection = rsgi.Wire(wire.arriving(), cut=not wire.whole)
        if self.entry.hot.answer(scope, connection):
            self.hits += 1
            await self._compare(scope, connection)
        else:
            await self.entry(scope, connection)
        pairs = connection.headers
        tags = tuple(value for key, value in pairs if key == "oci-tag")
        return Answer(connection.status, dict(pairs), connection.body, tags)

    async def _compare(self, scope: rsgi.Scope, given: rsgi.Wire) -> None:
        """An answer from memory is that of the handlers."""
        anew = rsgi.Wire()
        await self.plain(scope, anew)
        assert (given.status, given.body) == (anew.status, anew.body)
        assert _headers(given) == _headers(anew)

    # ---- what most tests begin with

    async def blob(self, data: bytes, name: str = NAME, algorithm: str = "sha256") -> Digest:
        """Push a blob in one request."""
        digest = digests.of(data, algorithm)
        answer = await self.call("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", data)
        assert answer.status == 201, answer.body
        return digest

    async def put(
        self,
        manifest: Manifest,
        *tags: str,
        name: str = NAME,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """PUT by the one tag, or by digest with any other number of tags; no blobs."""
        path = f"/v2/{name}/manifests/{tags[0] if len(tags) == 1 else manifest.digest}"
        if len(tags) > 1:
            path += "?" + urlencode([("tag", tag) for tag in tags])
        return await self.call(
            "PUT", path, manifest.raw, {"content-type": manifest.media_type, **(headers or {})}
        )

    async def push(self, manifest: Manifest, *tags: str, name: str = NAME) -> Digest:
        """PUT, which must succeed."""
        answer = await self.put(manifest, *tags, name=name)
        assert answer.status == 201, answer.body
        return manifest.digest

    async def basics(self, *layers: bytes, name: str = NAME) -> None:
        """The blobs of `builders.image(*layers)` and of papers."""
        for data in blobs_of(*layers).values():
            await self.blob(data, name)

    async def begin(self, name: str = NAME, query: str = "") -> str:
        """The location of a new upload session."""
        answer = await self.call("POST", f"/v2/{name}/blobs/uploads/{query}")
        assert answer.status == 202, answer.body
        return answer.location

    async def delete(self, reference: str, name: str = NAME) -> Answer:
        return await self.call("DELETE", f"/v2/{name}/manifests/{reference}")

    async def status(self, reference: str, name: str = NAME) -> int:
        """What HEAD of a manifest says."""
        return (await self.call("HEAD", f"/v2/{name}/manifests/{reference}")).status

    async def referrers(self, subject: Digest, name: str = NAME) -> set[Digest]:
        """The papers that the OCI API lists."""
        answer = await self.call("GET", f"/v2/{name}/referrers/{subject}")
        assert answer.status == 200, answer.body
        return {digests.parse(each["digest"]) for each in answer.json["manifests"]}

    async def rows(self, text: str, *args: object) -> list[tuple[object, ...]]:
        """What a statement of a test finds."""
        return list(await self.catalog.rows(statement(text), *args))


async def quarantine(rig: Rig) -> None:
    """All content, as if the scrubber had found it damaged."""
    sql = statement("update object set quarantined = 1")

    def change() -> Change[None]:
        yield sql, ()

    await rig.catalog.commit(change)


def statement(text: str) -> Sql:
    """A statement that is no part of the program (the program's are all checked)."""
    sql = Sql(text, scans=True)
    ALL.remove(sql)
    return sql


@pytest.fixture
async def rig(catalog: Catalog, tmp_path: Path) -> AsyncIterator[Rig]:
    blobs = FileBlobStore(tmp_path / "store", durable=False, threads=2)
    yield Rig(catalog, blobs, Config(data=tmp_path, durable=False))
    await blobs.close()


def _headers(wire: rsgi.Wire) -> list[tuple[str, str]]:
    return sorted(pair for pair in wire.headers if pair[0] != "x-request-id")
