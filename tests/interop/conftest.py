"""Other people's tools against a real server. Their homes are temporary, their network is ours."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interop.places import Places
from interop.signers import Cosign, Image, Retinue, prepare, repository
from serving import Serving


@dataclass(slots=True)
class Tools:
    """Runs programs with a home of their own; a program that is not installed skips the test."""

    home: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        *command: str | Path,
        text: str | None = None,
        fails: bool = False,
        code: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """What it printed; of what fails, what it said about that too.

        `fails`: it must; `code`: it must end with this one. `env` is added.
        """
        program = shutil.which(str(command[0]))
        if program is None:
            pytest.skip(f"{command[0]} is not installed: scripts/interop installs it")
        done = subprocess.run(
            [program, *map(str, command[1:])],
            input=text, capture_output=True, text=True, cwd=self.home, timeout=120,
            env={**os.environ, **self.environ, **(env or {})}, check=False,
        )  # fmt: skip
        as_told = (done.returncode != 0) is fails if code is None else done.returncode == code
        if not as_told:
            pytest.fail(f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def json(self, *command: str | Path) -> Any:
        return json.loads(self.run(*command))


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    home = tmp_path / "home"
    home.mkdir()
    (home / "auth.json").write_text("{}")
    unreachable = "http://127.0.0.1:1"
    environ = {
        "HOME": str(home), "DOCKER_CONFIG": str(home / ".docker"), "TUF_ROOT": str(home / "tuf"),
        "REGCTL_CONFIG": str(home / "regctl.json"), "XDG_RUNTIME_DIR": str(home),
        "REGISTRY_AUTH_FILE": str(home / "auth.json"), "COSIGN_PASSWORD": "",
        "HTTPS_PROXY": unreachable, "NO_PROXY": "127.0.0.1,localhost",
        "TMPDIR": str(tmp_path),
    }  # fmt: skip
    return Tools(home, environ)


@pytest.fixture
def host(start: Callable[..., Serving]) -> str:
    """`127.0.0.1:PORT` of a fresh registry."""
    return start().host


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    running: list[Serving] = []

    def begin(**options: str) -> Serving:
        serving = Serving(str(tmp_path / "registry"), options)
        running.append(serving)
        serving.start()
        return serving

    yield begin
    for serving in running:
        serving.stop()


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An OCI layout with one small real image, tag `v1`, made of busybox or of any file."""
    return make_layout(tmp_path / "layout")


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    running = Places(tmp_path_factory.mktemp("places"))
    yield running
    running.stop()


@pytest.fixture
def signing(tools: Tools) -> Tools:
    """Where tools run, with keys; cosign 2 is kept from asking for public roots."""
    prepare(tools.home)
    tools.environ = {**tools.environ, "SIGSTORE_REKOR_PUBLIC_KEY": "p256.pub"}
    return tools


@pytest.fixture
def retinue(signing: Tools) -> Retinue:
    return Retinue(signing)


@pytest.fixture
def cosign(signing: Tools) -> Callable[..., Cosign]:
    """`cosign(3)`, `cosign(2, "legacy")`."""
    return lambda version, form="bundle": Cosign(signing, version, form)


@pytest.fixture
def pushed(signing: Tools, layout: Path, places: Places) -> Callable[..., Image]:
    """`pushed("distribution")`: an image in a new repository of that registry."""

    def push(place: str = "ours", tag: str = "v1") -> Image:
        image = Image(repository(places[place]), digest_in(layout), tag)
        signing.run(
            "oras", "cp", "--from-oci-layout", f"{layout}:v1", "--to-plain-http", image.tagged
        )
        return image

    return push


@pytest.fixture
def place() -> str:
    """Which registry `image` is in; a test may name others as its parameter."""
    return "ours"


@pytest.fixture
def image(pushed: Callable[..., Image], place: str) -> Image:
    return pushed(place)


@pytest.fixture
def tool(cosign: Callable[..., Cosign], version: int, form: str) -> Cosign:
    """The cosign that a test names by its parameters `version` and `form`."""
    return cosign(version, form)


def digest_in(layout: Path) -> str:
    """Of the first that a layout lists."""
    return str(json.loads((layout / "index.json").read_text())["manifests"][0]["digest"])


def make_layout(folder: Path) -> Path:
    import gzip
    import hashlib
    import io
    import tarfile

    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(body: bytes, media_type: str) -> dict[str, Any]:
        name = hashlib.sha256(body).hexdigest()
        (blobs / name).write_bytes(body)
        return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(body)}

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("hello.txt")
        info.size = 6
        tar.addfile(info, io.BytesIO(b"hello\n"))
    layer = buffer.getvalue()
    config = {
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/hello"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [put(gzip.compress(layer, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")],
    }  # fmt: skip
    image = put(json.dumps(manifest).encode(), manifest["mediaType"])  # type: ignore[arg-type]
    image["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    index = {"schemaVersion": 2, "manifests": [image]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder
