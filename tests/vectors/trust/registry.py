"""A repository over plain HTTP, as little as making and recording vectors needs: standard library only."""

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFESTS = (MANIFEST, INDEX)


def digest_of(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def dumps(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


class Repository:
    def __init__(self, host: str, name: str) -> None:
        self.host, self.name = host, name

    @property
    def image(self) -> str:
        return f"{self.host}/{self.name}"

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """The answer, open; None for 404."""
        url = path if path.startswith("http") else f"http://{self.host}/v2/{self.name}/{path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, data=body, method=method, headers=named)
        try:
            return urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as problem:
            if problem.code == 404:
                return None
            raise

    def put_blob(self, raw: bytes, media_type: str) -> dict[str, Any]:
        where = self.call("POST", "blobs/uploads/", b"").headers["Location"]
        if where.startswith("/"):
            where = f"http://{self.host}{where}"
        where += ("&" if "?" in where else "?") + f"digest={digest_of(raw)}"
        self.call("PUT", where, raw, Content_Type="application/octet-stream")
        return {"mediaType": media_type, "digest": digest_of(raw), "size": len(raw)}

    def put(self, manifest: bytes | dict[str, Any], tag: str | None = None) -> dict[str, Any]:
        raw = manifest if isinstance(manifest, bytes) else dumps(manifest)
        media_type = json.loads(raw)["mediaType"]
        self.call("PUT", f"manifests/{tag or digest_of(raw)}", raw, Content_Type=media_type)
        return {"mediaType": media_type, "digest": digest_of(raw), "size": len(raw)}

    def manifest(self, reference: str) -> tuple[bytes, str]:
        """Its bytes and media type; KeyError: there is none."""
        answer = self.call("GET", f"manifests/{reference}", Accept=", ".join(MANIFESTS))
        if answer is None:
            raise KeyError(reference)
        return answer.read(), answer.headers["Content-Type"]

    def blob(self, digest: str) -> bytes:
        raw: bytes = self.call("GET", f"blobs/{digest}").read()
        return raw

    def tags(self) -> list[str]:
        answer = self.call("GET", "tags/list")
        return (json.loads(answer.read())["tags"] or []) if answer else []

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        answer = self.call("GET", f"referrers/{digest}")
        return json.loads(answer.read())["manifests"] if answer else []


def recorded(repository: Repository, subject: str, keep: Any) -> dict[str, Any]:
    """Everything there, by tags, children and referrers; `keep` takes each content's bytes."""
    tags, manifests, blobs = {}, {}, {}
    ahead = [each["digest"] for each in repository.referrers(subject)]
    for tag in sorted(repository.tags()):
        raw, _ = repository.manifest(tag)
        tags[tag] = digest_of(raw)
        ahead.append(digest_of(raw))
    while ahead:
        digest = ahead.pop()
        if digest in manifests:
            continue
        raw, manifests[digest] = repository.manifest(digest)
        keep(raw)
        document = json.loads(raw)
        ahead += [each["digest"] for each in document.get("manifests", ())]
        ahead += [each["digest"] for each in repository.referrers(digest)]
        for part in [*document.get("layers", ()), *filter(None, [document.get("config")])]:
            blobs[part["digest"]] = keep(repository.blob(part["digest"]))
    return {"tags": tags, "manifests": dict(sorted(manifests.items())), "blobs": sorted(blobs)}


def retinue(data: Path, port: int) -> tuple[list[str], str]:
    serve = [sys.executable, "-m", "retinue", "serve", "--workers", "1"]
    return [*serve, "--data", str(data), "--listen", f"127.0.0.1:{port}"], f"localhost:{port}"


def distribution(data: Path, port: int) -> tuple[list[str], str]:
    data.mkdir()
    config = data / "config.yml"
    config.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {data}/blobs}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
    )
    return ["distribution", "serve", str(config)], f"localhost:{port}"


@contextmanager
def running(command: list[str], host: str, log: Path) -> Iterator[str]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://{host}/v2/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.05)
        yield host
    finally:
        process.terminate()
        process.wait(30)
