from pathlib import Path

import pytest

from retinue.attest.errors import KeyUnusable
from retinue.attest.keys.table import open_public, open_signer
from trust_vectors import FOLDER, public

KEYS = FOLDER / "keys"


def test_a_file() -> None:
    assert public("p256") == open_public(str(KEYS / "p256.pub"))
    assert public("p256") == open_signer(str(KEYS / "p256.pem")).public


def test_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", (KEYS / "p256.pem").read_text())
    monkeypatch.setenv("SOME_PUB", (KEYS / "p256.pub").read_text())
    assert public("p256") == open_signer("env://SOME_KEY").public == open_public("env://SOME_PUB")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("/nowhere/k.pub", "key /nowhere/k.pub: cannot be read: No such file or directory"),
        ("/", "cannot be read: Is a directory"),
        ("a\0b", "is no path of a file"),
        ("env://RETINUE_NOT_SET", "the environment variable is not set"),
        ("k8s://ns/secret", "is of no known kind; use a file or one of env://"),
        ("https://example.com/k.pub", "is of no known kind"),
    ],
)
def test_what_cannot_be_opened_is_told(reference: str, said: str) -> None:
    with pytest.raises(KeyUnusable, match=said):
        open_public(reference)
    with pytest.raises(KeyUnusable, match=said):
        open_signer(reference)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    path.write_bytes(b"x" * 1_000_000)
    with pytest.raises(KeyUnusable, match="65537 bytes are more than"):
        open_public(str(path))
