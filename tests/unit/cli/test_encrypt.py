"""Copies that encrypt, decrypt or export, and recipients as papers, on layouts in folders."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from interop.conftest import make_layout
from retinue.attest.keys.generate import generate
from retinue.cli import encrypt, options
from retinue.cli.attaching import recipient
from retinue.cli.main import main
from retinue.cli.problems import BadUsage
from retinue.crypt.errors import NoKeyFits, RecipientUnusable
from retinue.oci.reference import parse_location


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A layout `plain:v1`, and the keys of alice and bob; bob's has a password."""
    make_layout(tmp_path / "plain")
    for name, password in (("alice", b""), ("bob", b"secret")):
        key = ec.generate_private_key(ec.SECP256R1())
        how = BestAvailableEncryption(password) if password else NoEncryption()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
        (tmp_path / f"{name}.key").write_bytes(private)
        spki = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(spki)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSIGN_PASSWORD", "secret")
    return tmp_path


def parsed(*words: str) -> argparse.Namespace:
    """As `retinue copy` has these options beside its own."""
    parser = options.Parser("retinue copy", "copy")
    parser.add_argument("source")
    parser.add_argument("destination")
    parser.add_argument("--all-tags", action="store_true")
    options.platform(parser)
    options.json(parser)
    options.network(parser)
    options.without_papers(parser)
    encrypt.arguments(parser)
    return parser.parse_args(words)


def copy(capsys: pytest.CaptureFixture[str], source: str, sink: str, *words: str) -> Any:
    args = parsed(f"oci:{source}:v1", f"oci:{sink}:v1", "--json", *words)
    assert encrypt.wanted(args)
    encrypt.run(args, parse_location(args.source), parse_location(args.destination))
    return json.loads(capsys.readouterr().out)


def share(capsys: pytest.CaptureFixture[str], image: str, *words: str) -> Any:
    parser = options.Parser("retinue attach recipient", "attach")
    recipient.arguments(parser)
    recipient.run(parser.parse_args([f"oci:{image}:v1", "--json", *words]))
    return json.loads(capsys.readouterr().out)


def layers(layout: Path) -> list[str]:
    """The blobs of a layout that are gzipped."""
    blobs = (layout / "blobs/sha256").iterdir()
    return [blob.name for blob in blobs if blob.read_bytes().startswith(b"\x1f\x8b")]


def test_an_image_is_encrypted_and_decrypted(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = copy(capsys, "plain", "sealed", "--encryption-key", "jwe:alice.pub")
    copy(capsys, "sealed", "back", "--decryption-key", "alice.key")

    assert sealed["left_out"] == []
    assert not layers(home / "sealed")
    assert layers(home / "back") == layers(home / "plain")


def test_papers_stay_behind_only_if_that_is_said(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = generate(password=b"secret")
    (home / "sealed.pub").write_bytes(pair.public)
    (home / "sealed.key").write_bytes(pair.private)
    mine = ("--encryption-key", "jwe:sealed.pub")
    assert main(["sign", "--key", "sealed.key", "oci:plain:v1"]) == 0
    capsys.readouterr()

    with pytest.raises(BadUsage, match="1 paper would stay behind"):
        copy(capsys, "plain", "sealed", *mine)
    assert not (home / "sealed").exists()
    said = copy(capsys, "plain", "sealed", *mine, "--without-papers")
    copy(capsys, "sealed", "back", "--decryption-key", "sealed.key")

    assert len(said["left_out"]) == 1
    assert layers(home / "back") == layers(home / "plain")


def test_a_recipient_is_attached_and_the_image_stays(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = copy(capsys, "plain", "sealed", "--encryption-key", "jwe:alice.pub")
    with pytest.raises(NoKeyFits):
        copy(capsys, "sealed", "none", "--decryption-key", "bob.key")

    mine = ("--decryption-key", "alice.key")
    told = share(capsys, "sealed", *mine, "--encryption-key", "jwe:bob.pub")
    copy(capsys, "sealed", "back", "--decryption-key", "bob.key")

    assert told["subject"] == sealed["digest"]
    assert len(told["papers"]) == 1
    assert layers(home / "back") == layers(home / "plain")


def test_recipients_are_merged_for_other_tools(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = copy(capsys, "plain", "sealed", "--encryption-key", "jwe:alice.pub")
    mine = ("--decryption-key", "alice.key")
    share(capsys, "sealed", *mine, "--encryption-key", "jwe:bob.pub")

    exported = copy(capsys, "sealed", "exported", "--merge-recipients")
    copy(capsys, "exported", "back", "--decryption-key", "bob.key")

    assert exported["digest"] != sealed["digest"]
    assert layers(home / "back") == layers(home / "plain")


@pytest.mark.parametrize(
    "words",
    [
        ("--encryption-key", "jwe:alice.pub", "--decryption-key", "alice.key"),
        ("--encryption-key", "alice.pub"),
        ("--decryption-key", "alice.key", "--encrypt-layer", "0"),
        ("--merge-recipients", "--all-tags"),
    ],
    ids=range(4),
)
def test_what_does_not_go_together(
    home: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with pytest.raises(BadUsage):
        copy(capsys, "plain", "sealed", *words)


def test_a_key_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RecipientUnusable, match="No such file"):
        copy(capsys, "plain", "sealed", "--encryption-key", "jwe:none.pub")


def test_a_copy_without_these_options_is_none_of_ours(home: Path) -> None:
    assert not encrypt.wanted(parsed("oci:plain:v1", "oci:other:v1"))
