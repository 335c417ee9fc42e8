"""How things look."""

import io
import json

import pytest

from retinue.cli.progress import Bar
from retinue.cli.render import clean, coloured, count, emit, size, table
from retinue.client.transfer import Advanced, Done, How, Planned
from retinue.oci import digest as digests

BLOB = digests.of(b"a blob")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_550, "1.6 kB"),
        (999_960, "1.0 MB"),
        (20_300_000, "20.3 MB"),
        (5_000_000_000, "5.0 GB"),
        (1_200_000_000_000, "1.2 TB"),
        (-5, "-5 B"),
    ],
)
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


def test_counts() -> None:
    assert [count(0, "paper"), count(1, "paper"), count(2, "copy", "copies")] == [
        "0 papers",
        "1 paper",
        "2 copies",
    ]


def test_text_of_others_is_made_harmless() -> None:
    assert clean("a\x1b]0;b\x07\nü") == "a?]0;b??ü"


@pytest.mark.parametrize(
    ("environ", "stream", "expected"),
    [
        ({}, Terminal(), True),
        ({}, io.StringIO(), False),
        ({"NO_COLOR": "1"}, Terminal(), False),
        ({"NO_COLOR": ""}, Terminal(), True),
        ({"TERM": "dumb"}, Terminal(), False),
        ({"CLICOLOR_FORCE": "1"}, io.StringIO(), True),
        ({"CLICOLOR_FORCE": "0"}, io.StringIO(), False),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, Terminal(), False),
    ],
)
def test_colours(environ: dict[str, str], stream: io.StringIO, expected: bool) -> None:
    assert coloured(stream, environ) is expected


def test_tables_have_aligned_columns() -> None:
    assert table([("A", "LONG"), ("bcd", "e")]).splitlines()[1] == "bcd  e"
    assert table([]) == ""


def test_json_or_text(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"ä": 1}, "text", as_json=True)
    assert json.loads(capsys.readouterr().out) == {"ä": 1}
    emit({}, "text", as_json=False)
    assert capsys.readouterr().out == "text\n"
    emit({}, "", as_json=False)
    assert capsys.readouterr().out == ""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_a_terminal_sees_progress_and_nothing_of_it_stays() -> None:
    stream = Terminal()
    with Bar("copying", stream, Clock()) as bar:
        bar(Planned(2, 200, 1))
        bar(Advanced(BLOB, 100))
    assert " 50% 100 B of 200 B, 3 to go" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_elsewhere_progress_is_silent() -> None:
    stream = io.StringIO()
    with Bar("copying", stream, Clock()) as bar:
        bar(Planned(1, 100, 0))
        bar(Advanced(BLOB, 50))
    assert stream.getvalue() == ""


def test_what_was_there_counts_as_passed() -> None:
    bar = Bar("copying", io.StringIO(), Clock())
    for event in (Planned(2, 200, 0), Done(BLOB, 100, How.MOUNTED), Advanced(BLOB, 100)):
        bar(event)
    bar(Done(BLOB, 100, How.SENT))
    assert "100% 200 B of 200 B, 0 to go" in bar.line()


def test_a_repeated_blob_takes_back() -> None:
    bar = Bar("copying", io.StringIO(), Clock())
    for event in (Planned(1, 100, 0), Advanced(BLOB, 60), Advanced(BLOB, -60)):
        bar(event)
    assert "  0% 0 B of 100 B" in bar.line()


def test_nothing_to_do_is_done() -> None:
    bar = Bar("copying", io.StringIO(), Clock())
    bar(Planned(0, 0, 1))
    assert "100%" in bar.line()
