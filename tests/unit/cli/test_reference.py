"""The reference pages are those that the program makes of itself."""

from pathlib import Path

import pytest

from retinue.cli.main import VERBS
from retinue.cli.reference import PAGES, page
from retinue.registry import config

FOLDER = Path(__file__).parents[3] / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_current(name: str) -> None:
    made = (FOLDER / f"{name}.md").read_text("utf-8")
    assert made == page(name), (
        f"run: python -m retinue.cli.reference {name} > docs/reference/{name}.md"
    )


def test_the_pages_are_complete() -> None:
    assert all(f"### retinue {verb}\n" in page("cli") for verb in VERBS)
    assert all(f"| `{name}` |" in page("configuration") for name in config.options())
