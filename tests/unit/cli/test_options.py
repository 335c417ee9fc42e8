"""Options that all verbs share."""

import pytest

from retinue.cli.options import Parser


@pytest.mark.parametrize(("columns", "most"), [("60", 60), ("120", 120), ("", 80), ("wide", 80)])
def test_help_is_as_wide_as_the_terminal(
    columns: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.__stdout__", None)
    parser = Parser("retinue", "does something")
    parser.add_argument("--option", help="word " * 100)
    widest = max(map(len, parser.format_help().splitlines()))
    assert most - 12 < widest < most
