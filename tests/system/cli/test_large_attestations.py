"""A huge SBOM is attested and verified in bounded memory; RETINUE_LARGE=1 makes it one of 50 MB."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retinue.attest.keys.generate import generate
from running import Ask
from serving import Serving

MEGABYTE = 1_000_000
SIZE = (50 if os.environ.get("RETINUE_LARGE") else 10) * MEGABYTE
BOUND = 70 * MEGABYTE + 44 * SIZE // 10
"""Bytes of memory, those of mapped files included: 290 MB for a predicate of 50 MB."""

MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""
"""A process of its own: a child's peak begins with the memory of the one that started it."""


@pytest.fixture
def image(registry: Serving, tmp_path: Path, ask: Ask) -> str:
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "rootfs" / "name").write_text("large attestations")
    name = f"{registry.host}/trust-cli/large:1"
    assert ask("push", "--image", tmp_path / "rootfs", name).code == 0
    return name


def peak(*words: object) -> int:
    """The most memory in bytes that a command needed, which ends well."""
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "retinue", *map(str, words)]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    code, most = map(int, told.stdout.split())
    assert code == 0, told.stderr
    return most


def test_attest_and_verify_in_bounded_memory(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "")
    pair = generate()
    (tmp_path / "key").write_bytes(pair.private)
    (tmp_path / "pub").write_bytes(pair.public)
    row = json.dumps({"name": "a" * 80, "version": "1", "purl": "pkg:generic/a@1"})
    rows = ",".join([row] * (SIZE // (len(row) + 1)))
    (tmp_path / "sbom").write_text(f'{{"bomFormat":"CycloneDX","components":[{rows}]}}')
    about = ("--type", "cyclonedx", image)

    attest = ("attest", "--key", tmp_path / "key", "--predicate", tmp_path / "sbom", *about)
    assert peak(*attest) < BOUND
    assert peak(*attest) < BOUND  # what is there is read, to add nothing
    assert peak("verify", "--key", tmp_path / "pub", *about) < BOUND
