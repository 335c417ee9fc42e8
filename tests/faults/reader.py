"""Compares what a registry serves with what it acknowledged."""

import http.client
import json

from faults.clients import Promises, Repository, digest


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


def look(port: int, promises: Promises) -> int:
    """What is served while something is away: the right bytes, or none. Returns how much was right."""
    right = 0
    for name, known in promises.repositories.items():
        reader = Reader(port, name)
        for manifest, body in list(known.manifests.items()):
            right += reader.serves(f"manifests/{manifest}", manifest)
            document = json.loads(body)
            for part in (document["config"], *document["layers"]):
                right += reader.serves(f"blobs/{part['digest']}", part["digest"])
    return right


class Reader:
    def __init__(self, port: int, name: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.name = name

    def serves(self, path: str, wanted: str) -> bool:
        """An answer that is cut short is none."""
        try:
            status, body = self.get(path)
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return False
        assert status != 200 or digest(body) == wanted, f"{self.name}: wrong bytes for {path}"
        return status == 200

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
