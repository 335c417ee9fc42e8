"""Measure what is done with papers, beside cosign and oras, as whole processes on one registry.

`scripts/bench --papers` calls this. All tools work on the same registry in turn, several rounds.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.peers import PEERS, Peer, program, running
from retinue.attest.attestation import Attestation
from retinue.attest.keys.generate import generate
from retinue.attest.keys.key import Signer
from retinue.attest.keys.pem import load_private
from retinue.attest.sign import sign_statement, signature_statement
from retinue.client.client import Client
from retinue.client.transport import Settings, Transport
from retinue.oci.manifest import Manifest
from retinue.oci.reference import parse
from retinue.papers.attach import attach_bundles

PAPERS = 50
PREDICATE = 40_000
"""Bytes of one attestation's predicate."""
SIGNED, COPIED, VERIFIED = 100, 200, 200
SAMPLE = 20
"""How many images a tool does that takes one in a command; its rate is that of these."""
SIGNERS = 8
RETINUE = (sys.executable, "-m", "retinue")

Results = dict[str, dict[str, list[float]]]


def main() -> int:
    args = _arguments()
    tools = {name: program(name) for name in ("cosign3", "oras")}
    for name, found in tools.items():
        if found is None:
            print(f"{name}: not installed, left out", file=sys.stderr)
    results: Results = defaultdict(lambda: defaultdict(list))
    peer = next(each for each in PEERS if each.name == args.registry)
    with tempfile.TemporaryDirectory(prefix="retinue-bench-") as folder:
        for number in range(args.rounds):
            _round(peer, Path(folder) / str(number), tools, results)
    print(_table(results, args))
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure papers side by side.")
    parser.add_argument("--papers", action="store_true", help="(chooses this program)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--registry", default="retinue", help="the registry that all work on")
    parser.add_argument("--json", help="also write every figure to this file")
    return parser.parse_args()


def _round(peer: Peer, folder: Path, tools: dict[str, str | None], results: Results) -> None:
    with running(peer, folder / "registry") as server:
        if server is None:
            raise SystemExit(f"{peer.name} is not installed")
        host = server.url.removeprefix("http://")
        bench = _Bench(host, folder, tools, results)
        bench.prepare()
        bench.verify()
        bench.sign()
        bench.copy()
        bench.signers()


class _Bench:
    def __init__(
        self, host: str, folder: Path, tools: dict[str, str | None], results: Results
    ) -> None:
        self.host, self.folder, self.results = host, folder, results
        self.cosign, self.oras = tools["cosign3"], tools["oras"]
        self.environ = os.environ | {"COSIGN_PASSWORD": "", "DOCKER_CONFIG": str(folder)}
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation has its bytecode
        self.key, self.pub = folder / "key", folder / "pub"

    def prepare(self) -> None:
        """Images of one small layer; one with 50 papers, 200 with 5 each, 200 with a signature."""
        pair = generate()
        self.key.write_bytes(pair.private)
        self.pub.write_bytes(pair.public)
        self._images("many", 1)
        self._images("five", COPIED)
        self._images("one", VERIFIED)
        self._images("bare", SIGNED)
        signer = load_private(pair.private, lambda: b"", "the key")
        asyncio.run(_attach(self.host, "many", 1, PAPERS, signer))
        asyncio.run(_attach(self.host, "five", COPIED, 5, signer))
        asyncio.run(_attach(self.host, "one", VERIFIED, 1, signer))

    def _images(self, name: str, count: int) -> None:
        layout = self.folder / name
        for number in range(1, count + 1):
            root = self.folder / "rootfs"
            root.mkdir(exist_ok=True)
            (root / "name").write_text(f"{name} {number}")
            if number == 1:
                self._run([*RETINUE, "push", "--image", str(root), f"oci:{layout}:1"])
        asyncio.run(_push_variants(self.host, layout, name, count))

    def verify(self) -> None:
        many = f"{self.host}/many:1"
        row = f"verify, 1 image of {PAPERS} papers, s"
        self._time(row, "retinue", [*RETINUE, "verify", "--key", str(self.pub), many])
        row_type = f"verify an attestation of {PAPERS} papers, s"
        typed = ["--type", "cyclonedx"]
        self._time(row_type, "retinue", [*RETINUE, "verify", "--key", str(self.pub), *typed, many])
        names = [f"{self.host}/one:{n}" for n in range(1, VERIFIED + 1)]
        rate = f"verify {VERIFIED} images, images/s"
        command = [*RETINUE, "verify", "--key", str(self.pub), *names]
        self._rate(rate, "retinue", len(names), lambda: self._run(command))
        if self.cosign is None:
            return
        base = [self.cosign, "verify", "--key", str(self.pub), "--insecure-ignore-tlog=true"]
        self._time(row, "cosign", [*base, many])
        attestation = [self.cosign, "verify-attestation", *base[2:], *typed]
        self._time(row_type, "cosign", [*attestation, many])
        some = names[:SAMPLE]
        self._rate(rate, "cosign", SAMPLE, lambda: [self._run([*base, name]) for name in some])

    def sign(self) -> None:
        names = [f"{self.host}/bare:{n}" for n in range(1, SIGNED + 1)]
        row = f"sign {SIGNED} images, images/s"
        if self.cosign is not None:
            base = [self.cosign, "sign", "--key", str(self.key), "--use-signing-config=false"]
            base += ["--tlog-upload=false", "--yes"]
            some = names[:SAMPLE]
            self._rate(row, "cosign", SAMPLE, lambda: [self._run([*base, name]) for name in some])
        other = generate()
        (self.folder / "other").write_bytes(other.private)
        command = [*RETINUE, "sign", "--key", str(self.folder / "other"), *names]
        self._rate(row, "retinue", len(names), lambda: self._run(command))

    def copy(self) -> None:
        source, row = f"{self.host}/many:1", f"copy 1 image of {PAPERS} papers, s"
        self._time(row, "retinue", [*RETINUE, "copy", source, f"{self.host}/many-retinue:1"])
        rate = f"copy {COPIED} images of 5 papers, images/s"
        place = f"{self.host}/five-retinue"
        command = [*RETINUE, "copy", "--all-tags", f"{self.host}/five", place]
        self._rate(rate, "retinue", COPIED, lambda: self._run(command))
        if self.oras is None:
            return
        flags = ["--from-plain-http", "--to-plain-http"]
        base = [self.oras, "cp", "-r", *flags]
        self._time(row, "oras", [*base, source, f"{self.host}/many-oras:1"])
        pairs = [(f"{self.host}/five:{n}", f"{self.host}/five-oras:{n}") for n in range(1, 21)]
        self._rate(rate, "oras", len(pairs), lambda: [self._run([*base, *pair]) for pair in pairs])

    def signers(self) -> None:
        """Eight at once sign one image, in both forms; each must still be there."""
        image = f"{self.host}/many:1"
        keys = []
        for number in range(SIGNERS):
            pair = generate()
            (self.folder / f"{number}.key").write_bytes(pair.private)
            (self.folder / f"{number}.pub").write_bytes(pair.public)
            keys.append(self.folder / f"{number}.key")
        command = [*RETINUE, "sign", "--format", "both", image, "--key"]
        environ = self.environ
        running_now = [
            subprocess.Popen([*command, str(k)], env=environ, stdout=subprocess.DEVNULL)
            for k in keys
        ]
        if any(process.wait() for process in running_now):
            raise SystemExit("a signer failed")
        public = [w for n in range(SIGNERS) for w in ("--key", str(self.folder / f"{n}.pub"))]
        self._run([*RETINUE, "verify", *public, "--signers", str(SIGNERS), image])
        found = self._run([*RETINUE, "download", "signature", image]).count(b"Base64Signature")
        self.results["8 signers at once, signatures kept"]["retinue"].append(found)

    def _time(self, row: str, tool: str, command: Sequence[str]) -> None:
        begun = time.perf_counter()
        self._run(command)
        self._note(row, tool, time.perf_counter() - begun)

    def _rate(self, row: str, tool: str, count: int, do: Callable[[], object]) -> None:
        begun = time.perf_counter()
        do()
        self._note(row, tool, count / (time.perf_counter() - begun))

    def _note(self, row: str, tool: str, value: float) -> None:
        self.results[row][tool].append(value)
        print(f"{tool}: {row}: {value:,.3f}", file=sys.stderr)

    def _run(self, command: Sequence[str]) -> bytes:
        done = subprocess.run(command, env=self.environ, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"{command}:\n{done.stderr.decode()[-2000:]}")
        return done.stdout


def _client() -> Client:
    transport = Transport(Settings(environ={}), random=random.random)
    return Client(transport, lambda _host, _repository: None)


async def _push_variants(host: str, layout: Path, name: str, count: int) -> None:
    """The image of a layout, and as many more that differ in an annotation."""
    from retinue.client.copy import Wanted, copy
    from retinue.client.layout_folder import open_layout
    from retinue.oci.readers.table import read

    async with _client() as client, open_layout(layout, make=False) as source:
        store = client.remote(host, name)
        await copy(source, store, [Wanted("1", ("1",))])
        digest = await source.resolve("1")
        assert digest is not None
        found = (await source.manifests([digest]))[digest]
        assert isinstance(found, Manifest)
        for number in range(2, count + 1):
            body = json.loads(found.raw) | {"annotations": {"number": str(number)}}
            made = read(json.dumps(body).encode(), found.media_type)
            await store.put_manifest(made)
            await store.put_tag(str(number), made.digest)


async def _attach(host: str, name: str, count: int, papers: int, signer: Signer) -> None:
    """A signature, and attestations for the rest."""
    now = datetime.now(UTC)
    async with _client() as client:
        for number in range(1, count + 1):
            reference = parse(f"{host}/{name}:{number}")
            store = client.remote(reference.host, reference.repository)
            digest = await store.resolve(str(number))
            assert digest is not None
            subject = (await store.manifests([digest]))[digest]
            assert isinstance(subject, Manifest)
            said = [signature_statement(digest, {})]
            for paper in range(1, papers):
                text = f"{paper} " * (PREDICATE // 3)
                predicate = {"bomFormat": "CycloneDX", "number": paper, "filler": text[:PREDICATE]}
                attestation = Attestation.of("https://cyclonedx.org/bom", predicate)
                said.append(attestation.with_subject(name, digest).statement())
            bundles = [sign_statement(statement, signer) for statement in said]
            await attach_bundles(store, subject, bundles, created=now)


def _table(results: Results, args: argparse.Namespace) -> str:
    lines = [
        f"{platform.machine()}, {args.rounds} rounds, over {args.registry}.",
        "",
        "| row | retinue | cosign | oras | retinue / peer |",
        "|---|---|---|---|---|",
    ]
    for row, found in results.items():
        middle = {tool: statistics.median(values) for tool, values in found.items()}
        peer = middle.get("cosign", middle.get("oras"))
        ratio = f"{middle['retinue'] / peer:.2f}" if peer else ""
        cells = [f"{middle[t]:,.2f}" if t in middle else "" for t in ("retinue", "cosign", "oras")]
        lines.append(f"| {row} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
