"""What a client remembers of revocation lists."""

from pathlib import Path

import pytest

from retinue.papers.revocationlist import ListProblem, Seen
from retinue.papers.seen import FOLDER, SeenFolder

NAME = "reg.acme/trust/revocations"
ONE, TWO = (Seen(number, f"sha256:{str(number) * 64}") for number in (1, 2))


def test_nothing_was_seen_before_anything_is_remembered(tmp_path: Path) -> None:
    assert SeenFolder(tmp_path / "state").seen(NAME) is None


def test_the_highest_version_is_remembered(tmp_path: Path) -> None:
    folder = SeenFolder(tmp_path / "state")
    for seen in (ONE, TWO):
        folder.remember(NAME, seen)
    assert SeenFolder(tmp_path / "state").seen(NAME) == TWO
    assert len(list((tmp_path / "state" / FOLDER).iterdir())) == 1


def test_a_lower_version_changes_nothing(tmp_path: Path) -> None:
    folder = SeenFolder(tmp_path)
    folder.remember(NAME, TWO)
    folder.remember(NAME, ONE)
    assert folder.seen(NAME) == TWO


def test_lists_are_told_apart(tmp_path: Path) -> None:
    folder = SeenFolder(tmp_path)
    folder.remember(NAME, ONE)
    folder.remember("reg.acme/other", TWO)
    assert (folder.seen(NAME), folder.seen("reg.acme/other")) == (ONE, TWO)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    folder = SeenFolder(tmp_path)
    folder.remember(NAME, ONE)
    (tmp_path / FOLDER / "notes.txt").write_text("mine")
    folder.remember(NAME, TWO)
    assert folder.seen(NAME) == TWO
    assert (tmp_path / FOLDER / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"name":"x","fingerprint":"y"}'])
def test_damage_is_told_and_never_taken_for_nothing(tmp_path: Path, damage: str) -> None:
    folder = SeenFolder(tmp_path)
    folder.remember(NAME, ONE)
    (file,) = (tmp_path / FOLDER).iterdir()
    file.write_text(damage)
    with pytest.raises(ListProblem):
        folder.seen(NAME)
