"""Measure what requests wait for while a registry collects, with every candidate due at once.

`python -m bench.collection`. It writes the data itself: one repository of images that share a
layer, each with two papers; the images at the end of it are not tagged, and so dead. Then it
starts the registry, and measures the same requests before collection begins, until it has ended,
and while an image with very many papers is deleted.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import apsw

from bench.peers import Peer, retinue, running
from retinue.oci import digest as digests
from retinue.oci import names
from retinue.registry.catalog.opening import migrate_now

NAME = "bench/app"
LAYER = b"layer"
CONFIG = b'{"os":"linux","architecture":"amd64"}'
PER_IMAGE = 3
"""Manifests: an image and its papers."""
DELETED = "many"
"""The tag of the image with very many papers."""
PHASES = ("before", "collection", "deletion")
TERMS = ("--grace", "1s", "--paper-grace", "1s", "--untagged-grace", "1s")
POLL = 0.5
PATIENCE = 1800.0
"""Seconds after which a collection that has not ended is given up."""

_INSERTS = {
    "object": "insert into object (id, digest, size) values (?, ?, ?)",
    "bytes": "insert into object_bytes (object, body) values (?, ?)",
    "manifest": "insert into manifest (repository, digest, object, media_type, artifact_type,"
    " links_version, pushed, pushed_by, touched) values (1, ?, ?, ?, ?, 1, 1, 'bench', 1)",
    "link": "insert into link (repository, source, kind, target, witness, way, size)"
    " values (1, ?, ?, ?, ?, 1, ?)",
    "paper": "insert into paper (repository, subject, digest, listed, ways, artifact_type, entry)"
    " values (1, ?, ?, 1, 1, ?, ?)",
    "tag": "insert into tag (repository, name, digest, created, updated, updated_by)"
    " values (1, ?, ?, 1, 1, 'bench')",
    "candidate": "insert into candidate (repository, kind, digest, due) values (1, 1, ?, 1)",
}
_KIND = "application/vnd.example.paper"


def main() -> int:
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="retinue-bench-", dir=args.work) as name:
        folder = Path(name)
        (folder / "data").mkdir(mode=0o700)
        database = folder / "data" / "catalog.db"
        images = args.manifests // PER_IMAGE
        dead = args.dead // PER_IMAGE
        begun = time.monotonic()
        fill(database, images, images - dead, args.papers)
        print(f"wrote {images * PER_IMAGE:,} manifests in {time.monotonic() - begun:.0f} s")
        interval = ("--gc-interval", f"{args.before}s")
        peer = Peer("retinue", "synced", True, retinue(*TERMS, *interval))
        with running(peer, folder) as server:
            assert server is not None
            measure(server.url, database, images - dead, args)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--manifests", type=int, default=300_000, help="all that there are")
    parser.add_argument("--dead", type=int, default=100_000, help="those of them to be collected")
    parser.add_argument("--before", type=int, default=20, help="seconds measured before it begins")
    parser.add_argument("--papers", type=int, default=15_000, help="of the image that is deleted")
    parser.add_argument("--work", help="folder for data, on the disk to be measured")
    return parser.parse_args()


# ---- the data


@dataclass(slots=True)
class Filling:
    """Rows of every table, written by the thousand."""

    connection: apsw.Connection
    objects: int = 0
    rows: dict[str, list[tuple[object, ...]]] = field(
        default_factory=lambda: {table: [] for table in _INSERTS}
    )

    def write(self) -> None:
        for table, rows in self.rows.items():
            self.connection.executemany(_INSERTS[table], rows)
            rows.clear()

    def content(self, body: bytes) -> bytes:
        """Stores bytes; returns their digest as rows have it."""
        self.objects += 1
        raw = digests.to_bytes(digests.of(body))
        self.rows["object"].append((self.objects, raw, len(body)))
        self.rows["bytes"].append((self.objects, body))
        return raw

    def manifest(self, document: dict[str, object], kind: str | None, blobs: int) -> bytes:
        body = json.dumps(document, separators=(",", ":")).encode()
        raw = self.content(body)
        self.rows["manifest"].append((raw, self.objects, names.OCI_MANIFEST, kind))
        self.rows["candidate"].append((raw,))
        parts = (CONFIG, LAYER)[:blobs]
        for part in parts:
            target = digests.to_bytes(digests.of(part))
            self.rows["link"].append((raw, 1, target, raw, len(part)))
        return raw


def fill(database: Path, images: int, tagged: int, papers: int) -> None:
    """Images, of which the first `tagged` have a tag, and one with many papers; every manifest is
    due."""
    migrate_now(f"sqlite:{database}")
    connection = apsw.Connection(str(database))
    connection.execute("pragma synchronous = off")
    filling = Filling(connection)
    with connection:
        connection.execute("insert into project (id, name) values (1, 'bench')")
        connection.execute("insert into repository (id, project, name) values (1, 1, ?)", (NAME,))
        for part in (CONFIG, LAYER):
            raw = filling.content(part)
            filling.write()
            row = (raw, filling.objects, len(part))
            connection.execute("insert into repo_blob values (1, ?, ?, ?, 1)", row)
        for number in range(images):
            _image(filling, number, f"v{number}" if number < tagged else None, PER_IMAGE - 1)
            if number % 1000 == 0:
                filling.write()
        _image(filling, images, DELETED, papers)
        filling.write()
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()


def _image(filling: Filling, number: int, tag: str | None, papers: int) -> None:
    document = _document(number)
    raw = filling.manifest(document, None, 2)
    if tag is not None:
        filling.rows["tag"].append((tag, raw))
    subject = json.dumps(document, separators=(",", ":")).encode()
    for which in range(papers):
        paper = _document(which) | {
            "artifactType": _KIND,
            "layers": [],
            "subject": _descriptor(subject, names.OCI_MANIFEST),
        }
        body = json.dumps(paper, separators=(",", ":")).encode()
        about = filling.manifest(paper, _KIND, 1)
        filling.rows["link"].append((about, 3, raw, about, 0))
        entry = json.dumps(_descriptor(body, names.OCI_MANIFEST) | {"artifactType": _KIND})
        filling.rows["paper"].append((raw, about, _KIND, entry))


def _document(number: int) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": names.OCI_MANIFEST,
        "config": _descriptor(CONFIG, "application/vnd.oci.image.config.v1+json"),
        "layers": [_descriptor(LAYER, "application/vnd.oci.image.layer.v1.tar")],
        "annotations": {"number": str(number)},
    }


def _descriptor(body: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digests.of(body), "size": len(body)}


# ---- the requests


@dataclass(slots=True)
class Client:
    """One connection that asks over and over; `waits` in seconds, of each phase."""

    name: str
    url: str
    ask: Callable[[http.client.HTTPConnection, int], None]
    waits: dict[str, list[float]] = field(default_factory=lambda: {each: [] for each in PHASES})
    phase: str = PHASES[0]
    over: bool = False
    failed: BaseException | None = None

    def run(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        number = 0
        try:
            while not self.over:  # until `measure` says so
                phase, begun = self.phase, time.monotonic()
                self.ask(connection, number)
                self.waits[phase].append(time.monotonic() - begun)
                number += 1
                time.sleep(0.002)  # a load, not a flood: what is measured is waiting
        except BaseException as problem:
            self.failed = problem


def _request(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    expected: int,
    body: bytes | None = None,
) -> None:
    headers = {"content-type": names.OCI_MANIFEST} if body else {}
    connection.request(method, f"/v2/{NAME}/{path}", body, headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != expected:
        raise SystemExit(f"{method} {path}: {answer.status}")


def _clients(url: str, tagged: int) -> list[Client]:
    layer = digests.of(LAYER)

    def subject(number: int) -> str:
        body = json.dumps(_document(number % tagged), separators=(",", ":")).encode()
        return digests.of(body)

    def put(connection: http.client.HTTPConnection, number: int) -> None:
        body = json.dumps(_document(10**9 + number)).encode()
        _request(connection, "PUT", f"manifests/new{number}", 201, body)

    return [
        Client("same manifest", url, lambda c, _: _request(c, "GET", "manifests/v0", 200)),
        Client(
            "other manifests",
            url,
            lambda c, n: _request(c, "GET", f"manifests/v{n * 7919 % tagged}", 200),
        ),
        Client("blob HEAD", url, lambda c, _: _request(c, "HEAD", f"blobs/{layer}", 200)),
        Client(
            "referrers",
            url,
            lambda c, n: _request(c, "GET", f"referrers/{subject(n * 7919)}", 200),
        ),
        Client("manifest PUT", url, put),
    ]


def measure(url: str, database: Path, tagged: int, args: argparse.Namespace) -> None:
    clients = _clients(url, tagged)
    threads = [threading.Thread(target=each.run, daemon=True) for each in clients]
    for thread in threads:
        thread.start()
    catalog = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    first = _due(catalog)
    time.sleep(args.before - 1.0)
    busy = os.getloadavg()[0]
    for each in clients:
        each.phase = PHASES[1]
    begun = time.monotonic()
    while (left := _due(catalog)) and not any(each.failed for each in clients):
        if time.monotonic() - begun > PATIENCE:
            raise SystemExit(f"{left:,} candidates are still due after {PATIENCE:.0f} s")
        time.sleep(POLL)
    took = time.monotonic() - begun
    for each in clients:
        each.phase = PHASES[2]
    deleting = _delete(url, args.manifests // PER_IMAGE)
    for each in clients:
        each.over = True
    for thread in threads:
        thread.join(60)
    if problem := next((each.failed for each in clients if each.failed), None):
        raise problem
    dead = args.manifests // PER_IMAGE - tagged
    print(f"looked at {first:,} candidates and collected {dead * PER_IMAGE:,} in {took:.0f} s")
    print(f"deleted an image with {args.papers:,} papers in {deleting:.1f} s")
    print(f"load of the machine before: {busy:.1f} on {os.cpu_count()} cores\n")
    print(_table(clients))


def _delete(url: str, number: int) -> float:
    """Seconds that it takes to delete the image with very many papers."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
    body = json.dumps(_document(number), separators=(",", ":")).encode()
    begun = time.monotonic()
    _request(connection, "DELETE", f"manifests/{digests.of(body)}", 202)
    return time.monotonic() - begun


def _due(catalog: apsw.Connection) -> int:
    """Manifests that are due, of those that were there from the start."""
    text = "select count(*) from candidate where kind = 1 and due <= 1"
    [(number,)] = catalog.execute(text).fetchall()
    return int(str(number))


def _table(clients: Sequence[Client]) -> str:
    columns = ("requests", "median", "99 %", "99.9 %", "longest")
    lines = [f"| milliseconds | | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for each in clients:
        for phase, waits in each.waits.items():
            cells = [f"{len(waits):,}", *(f"{1000 * wait:.1f}" for wait in _figures(waits))]
            lines.append(f"| {each.name} | {phase} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _figures(waits: Sequence[float]) -> tuple[float, ...]:
    ordered = sorted(waits)
    return (
        statistics.median(ordered),
        *(ordered[int(len(ordered) * part)] for part in (0.99, 0.999)),
        ordered[-1],
    )


if __name__ == "__main__":
    sys.exit(main())
