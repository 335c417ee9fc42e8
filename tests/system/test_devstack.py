"""`retinue dev-stack` as a process: it says how it is used, survives a restart, and ends when told."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

from retinue.attest.anchors import KeylessAnchor, Trust
from retinue.attest.keyless import sign_keyless
from retinue.attest.services import read_client_config
from retinue.attest.sign import signature_statement
from retinue.attest.target import Target
from retinue.attest.verify import verify_bundle
from retinue.oci.digest import of

WHO = "dev@example.test"
RAW = b"{}"
TARGET = Target(of(RAW), "application/vnd.oci.image.manifest.v1+json", RAW)


@contextmanager
def stack(
    folder: Path, listen: str = "127.0.0.1:0", end: signal.Signals = signal.SIGINT
) -> Iterator[str]:
    command = [sys.executable, "-m", "retinue", "dev-stack", "--listen", listen]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*command, "--folder", folder], stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert found is not None, process.stderr and process.stderr.read()
        try:
            yield found[0]
            process.send_signal(end)
            _, errors = process.communicate(timeout=30)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


def sign(url: str, folder: Path) -> bytes:
    with urlopen(f"{url}/token", f"subject={WHO}".encode()) as answer:
        token = answer.read().decode()
    now = datetime.now(UTC)
    services = read_client_config((folder / "client_trust_config.json").read_bytes(), now)
    return sign_keyless(signature_statement(TARGET.digest, {}), token, services, now)


def trust(url: str, folder: Path) -> Trust:
    from retinue.attest.root import read_root

    root = read_root((folder / "trusted_root.json").read_bytes())
    return Trust((KeylessAnchor("dev", root, url, identity=WHO),))


def test_what_was_signed_before_a_restart_verifies_after_it(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    with stack(folder) as url:
        before = sign(url, folder)
    port = url.rpartition(":")[2]

    with stack(folder, f"127.0.0.1:{port}", signal.SIGTERM) as again:
        after = sign(again, folder)

    found = [verify_bundle(b, TARGET, trust(url, folder)).principal for b in (before, after)]
    assert (again, found) == (url, [f"keyless:{url} {WHO}"] * 2)


def test_beyond_loopback_it_refuses(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "retinue", "dev-stack", "--listen", "0.0.0.0:0"],
        capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 2
    assert "loopback only" in done.stderr
    assert list(tmp_path.iterdir()) == []
