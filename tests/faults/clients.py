"""Clients that remember what was acknowledged.

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
OCTETS = "application/octet-stream"
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
    def __init__(self, *, keep_bodies: bool = False) -> None:
        self.repositories: dict[str, Repository] = {}
        self.failed = 0
        """Requests that the registry answered with a failure of its own."""
        self.done = 0
        """Changes that it acknowledged."""
        self.bodies: dict[str, tuple[str, bytes]] | None = {} if keep_bodies else None
        """Of each blob the repository that it was pushed to, and its bytes: to push it again."""
        self.lock = threading.Lock()

    def of(self, name: str) -> Repository:
        with self.lock:
            return self.repositories.setdefault(name, Repository())


class Died(Exception):
    """The registry went away, or could not take more."""


@dataclass(frozen=True, slots=True)
class Manner:
    """`large`: layers of megabytes. `goes_on`: after a failure it tries something else. `tolerant`:
    a refusal is a failure like others, since what it builds on may be away. `resumes`: it asks for
    the end of an upload until that is answered."""

    large: bool = False
    goes_on: bool = False
    tolerant: bool = False
    resumes: bool = False


class Client:
    def __init__(self, port: int, name: str, promises: Promises, seed: int, manner: Manner) -> None:
        self.name = name
        self.promises = promises
        self.known = promises.of(name)
        self.random = random.Random(seed)
        self.manner = manner
        self.ended = threading.Event()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def work(self) -> None:
        """Until it is told to end, or the registry dies and it does not go on."""
        steps = [self.push, self.push, self.push, self.attach, self.attach, self.untag, self.delete]
        while not self.ended.is_set():
            try:
                self.random.choice(steps)()
                self.promises.done += 1
            except Died:
                if not self.manner.goes_on:
                    return
                self.connection.close()
                self.ended.wait(0.02)

    def expect(self, status: int, wanted: int) -> None:
        if status != wanted and self.manner.tolerant:
            raise Died
        assert status == wanted, f"{self.name}: {status}, not {wanted}"

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
        self.expect(status, 202)
        where, rest = headers["location"], body
        if self.manner.resumes or self.random.random() < 0.3:
            half = len(body) if self.manner.resumes else len(body) // 2
            status, headers = self.ask("PATCH", where, body[:half], OCTETS)
            self.expect(status, 202)
            where, rest = headers["location"], body[half:]
            if self.manner.resumes:
                self.ended.wait(0.05)  # as a client that computes the digest meanwhile
        joint = "&" if "?" in where else "?"
        self.expect(self.end_upload(f"{where}{joint}digest={name}", rest), 201)
        if self.promises.bodies is not None:
            self.promises.bodies[name] = self.name, body
        return {"mediaType": LAYER, "digest": name, "size": len(body)}

    def end_upload(self, where: str, rest: bytes) -> int:
        """The same request until it is answered, if that is the client's manner."""
        while True:
            try:
                return self.ask("PUT", where, rest, OCTETS)[0]
            except Died:
                if not self.manner.resumes or self.ended.wait(0.02):
                    raise

    def manifest(self, **fields: object) -> bytes:
        return json.dumps({"schemaVersion": 2, "mediaType": IMAGE, **fields}).encode()

    def push(self) -> None:
        """An image under one of a few tags."""
        size = self.random.choice([100, 5000, 70_000, 300_000]) * (8 if self.manner.large else 1)
        config = self.blob(json.dumps({"r": self.random.random()}).encode())
        layers = [self.blob(self.random.randbytes(size))]
        body = self.manifest(config={**config, "mediaType": CONFIG}, layers=layers)
        tag = f"t{self.random.randrange(6)}"
        name = digest(body)
        before = self.known.tags.get(tag, {None})
        self.known.manifests[name] = body
        self.known.tags[tag] = before | {name}
        status, _ = self.ask("PUT", f"/v2/{self.name}/manifests/{tag}", body, IMAGE)
        self.expect(status, 201)
        self.known.tags[tag] = {name}

    def _tagged(self) -> str | None:
        """An image that is certainly there."""
        certain = [next(iter(v)) for v in self.known.tags.values() if len(v) == 1]
        found = [d for d in certain if d is not None]
        return self.random.choice(found) if found else None

    def attach(self) -> None:
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
        self.expect(status, 201)
        self.known.papers.setdefault(image, set()).add(name)

    def untag(self) -> None:
        tag = f"t{self.random.randrange(6)}"
        before = self.known.tags.get(tag)
        if not before:
            return
        self.known.tags[tag] = before | {None}
        status, _ = self.ask("DELETE", f"/v2/{self.name}/manifests/{tag}")
        assert status == 202 or None in before, (status, tag)
        self.known.tags[tag] = {None}

    def delete(self) -> None:
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
