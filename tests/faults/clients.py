"""Clients that remember what was acknowledged, and check it afterwards.

Every client writes to a repository of its own, one request after the other, so what it was promised
is known exactly; of a request that was under way when the registry died, either outcome is right.
"""

import hashlib
import http.client
import json
import random
import threading
from dataclasses import dataclass, field

IMAGE = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
PAPER = "application/vnd.example.paper.v1"


def digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


@dataclass(slots=True)
class Repository:
    """`tags`: the digests that each tag may name now (None: gone). `papers`: per image, those that
    must be listed. `gone`: digests whose deletion was acknowledged. `manifests`: body of each."""

    tags: dict[str, set[str | None]] = field(default_factory=dict)
    papers: dict[str, set[str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    manifests: dict[str, bytes] = field(default_factory=dict)


class Promises:
    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.failed = 0
        """Requests that the registry answered with a failure of its own."""
        self.lock = threading.Lock()

    def of(self, name: str) -> Repository:
        with self.lock:
            return self.repositories.setdefault(name, Repository())


class Died(Exception):
    """The registry went away, or could not take more."""


class Client:
    def __init__(
        self, port: int, name: str, promises: Promises, seed: int, round_number: int
    ) -> None:
        self.port = port
        self.name = name
        self.promises = promises
        self.known = promises.of(name)
        self.random = random.Random(seed)
        self.round = round_number
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def work(self, ended: threading.Event, *, large: bool = False) -> None:
        """Until the registry dies or the event is set."""
        steps = [self.push, self.push, self.push, self.attach, self.attach, self.untag, self.delete]
        while not ended.is_set():
            try:
                self.random.choice(steps)(large)
            except Died:
                if not large:
                    return
                self.connection.close()
                ended.wait(0.02)

    def ask(
        self, method: str, path: str, body: bytes = b"", kind: str = ""
    ) -> tuple[int, dict[str, str]]:
        headers = {"Content-Type": kind} if kind else {}
        try:
            self.connection.request(method, path, body=body, headers=headers)
            reply = self.connection.getresponse()
            reply.read()
        except (OSError, http.client.HTTPException) as problem:
            self.connection.close()
            raise Died from problem
        if reply.status >= 500:
            self.promises.failed += 1
            raise Died
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}

    def blob(self, body: bytes) -> dict[str, object]:
        name = digest(body)
        status, headers = self.ask("POST", f"/v2/{self.name}/blobs/uploads/")
        assert status == 202, status
        where = headers["location"]
        if self.random.random() < 0.3:
            half = len(body) // 2
            status, headers = self.ask("PATCH", where, body[:half], "application/octet-stream")
            assert status == 202, status
            where, rest = headers["location"], body[half:]
        else:
            rest = body
        joint = "&" if "?" in where else "?"
        status, _ = self.ask(
            "PUT", f"{where}{joint}digest={name}", rest, "application/octet-stream"
        )
        assert status == 201, status
        return {"mediaType": LAYER, "digest": name, "size": len(body)}

    def manifest(self, **fields: object) -> bytes:
        return json.dumps({"schemaVersion": 2, "mediaType": IMAGE, **fields}).encode()

    def push(self, large: bool) -> None:
        """An image under one of a few tags."""
        size = self.random.choice([100, 5000, 70_000, 300_000]) * (8 if large else 1)
        config = self.blob(json.dumps({"r": self.random.random()}).encode())
        layers = [self.blob(self.random.randbytes(size))]
        body = self.manifest(config={**config, "mediaType": CONFIG}, layers=layers)
        tag = f"t{self.random.randrange(6)}"
        name = digest(body)
        before = self.known.tags.get(tag, {None})
        self.known.manifests[name] = body
        self.known.tags[tag] = before | {name}
        status, _ = self.ask("PUT", f"/v2/{self.name}/manifests/{tag}", body, IMAGE)
        assert status == 201, status
        self.known.tags[tag] = {name}

    def _tagged(self) -> str | None:
        """An image that is certainly there."""
        certain = [next(iter(v)) for v in self.known.tags.values() if len(v) == 1]
        found = [d for d in certain if d is not None]
        return self.random.choice(found) if found else None

    def attach(self, large: bool) -> None:
        image = self._tagged()
        if image is None:
            return
        layer = self.blob(self.random.randbytes(500))
        subject = {"mediaType": IMAGE, "digest": image, "size": len(self.known.manifests[image])}
        config = {**self.blob(b"{}"), "mediaType": "application/vnd.oci.empty.v1+json"}
        body = self.manifest(artifactType=PAPER, config=config, layers=[layer], subject=subject)
        name = digest(body)
        self.known.manifests[name] = body
        status, _ = self.ask("PUT", f"/v2/{self.name}/manifests/{name}", body, IMAGE)
        assert status == 201, status
        self.known.papers.setdefault(image, set()).add(name)

    def untag(self, large: bool) -> None:
        tag = f"t{self.random.randrange(6)}"
        before = self.known.tags.get(tag)
        if not before:
            return
        self.known.tags[tag] = before | {None}
        status, _ = self.ask("DELETE", f"/v2/{self.name}/manifests/{tag}")
        assert status == (202 if None not in before else status), (status, tag)
        self.known.tags[tag] = {None}

    def delete(self, large: bool) -> None:
        """An image by digest: its tags and papers go with it."""
        image = self._tagged()
        if image is None or self.random.random() < 0.5:
            return
        touched = [t for t, may in self.known.tags.items() if image in may]
        for tag in touched:
            self.known.tags[tag] = self.known.tags[tag] | {None}
        papers = self.known.papers.pop(image, set())
        status, _ = self.ask("DELETE", f"/v2/{self.name}/manifests/{image}")
        assert status == 202, status
        for tag in touched:
            self.known.tags[tag] = self.known.tags[tag] - {image}
        self.known.gone |= {image, *papers}


def verify(port: int, promises: Promises) -> int:
    """Raises AssertionError for the first broken promise; returns how many were looked at."""
    checked = 0
    for name, known in promises.repositories.items():
        reader = Reader(port, name)
        for tag, may in known.tags.items():
            found = reader.resolve(tag)
            assert found in may, f"{name}:{tag} is {found}, acknowledged {may}"
            known.tags[tag] = {found}
            if found is not None:
                checked += reader.image(found, known.manifests[found])
                listed = reader.referrers(found)
                missing = known.papers.get(found, set()) - listed
                assert not missing, f"{name}@{found}: papers lost: {missing}"
                for paper in known.papers.get(found, set()):
                    checked += reader.image(paper, known.manifests[paper])
            checked += 1
        for gone in known.gone:
            status, _ = reader.get(f"manifests/{gone}")
            assert status == 404, f"{name}@{gone} was deleted, and answers {status}"
            checked += 1
        _forget(known)
    return checked


def _forget(known: Repository) -> None:
    """Drop what no promise is about any more, so that rounds do not grow."""
    live = {d for may in known.tags.values() for d in may if d is not None}
    known.papers = {image: papers for image, papers in known.papers.items() if image in live}
    kept = live.union(*known.papers.values()) if known.papers else live
    known.manifests = {d: body for d, body in known.manifests.items() if d in kept}
    known.gone = set(list(known.gone)[-50:])


class Reader:
    def __init__(self, port: int, name: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.name = name

    def get(self, path: str) -> tuple[int, bytes]:
        self.connection.request("GET", f"/v2/{self.name}/{path}")
        reply = self.connection.getresponse()
        return reply.status, reply.read()

    def resolve(self, tag: str) -> str | None:
        status, body = self.get(f"manifests/{tag}")
        assert status in {200, 404}, status
        return digest(body) if status == 200 else None

    def image(self, name: str, body: bytes) -> int:
        """The manifest and every blob are served with the right bytes."""
        status, served = self.get(f"manifests/{name}")
        assert (status, served) == (200, body), f"{self.name}@{name}: {status}"
        document = json.loads(body)
        for part in [document["config"], *document["layers"]]:
            status, served = self.get(f"blobs/{part['digest']}")
            assert status == 200, f"{self.name}: blob {part['digest']} answers {status}"
            assert digest(served) == part["digest"], f"wrong bytes for {part['digest']}"
        return 1 + 1 + len(document["layers"])

    def referrers(self, name: str) -> set[str]:
        status, body = self.get(f"referrers/{name}")
        assert status == 200, status
        return {m["digest"] for m in json.loads(body)["manifests"]}
