"""The table from error classes to exit codes is whole, and is what `report` goes by."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import pytest

import retinue
from retinue.cli import exits
from retinue.client.errors import NotFound, TlsProblem
from retinue.errors import RetinueError
from retinue.oci.reference import InvalidReference

ANSWERED_BY_THE_SERVER = (
    "retinue.registry.content",
    "retinue.registry.http.e",
    "retinue.registry.http.hosts",
    "retinue.registry.access.failures",
    "retinue.registry.access.gate",
    "retinue.wire.authority",
    "retinue.wire.conditions",
)
"""Modules whose errors become answers to requests, and never end a command."""


def modules() -> Iterator[str]:
    for found in pkgutil.walk_packages(retinue.__path__, "retinue."):
        if found.name != "retinue.__main__":
            yield found.name


def errors() -> set[str]:
    """Every error class that is written somewhere in the program."""
    found = set()
    for name in modules():
        for _, each in inspect.getmembers(import_module(name), inspect.isclass):
            if issubclass(each, RetinueError) and each is not RetinueError:
                found.add(f"{each.__module__}.{each.__qualname__}")
    return {name for name in found if "._" not in name}


def test_every_error_that_can_end_a_command_has_an_exit_code() -> None:
    wanted = {name for name in errors() if not name.startswith(ANSWERED_BY_THE_SERVER)}
    assert sorted(wanted - exits.CODES.keys()) == []


def test_every_row_is_about_a_class_that_exists() -> None:
    assert sorted(exits.CODES.keys() - errors()) == []


def test_every_code_has_a_meaning() -> None:
    assert set(exits.CODES.values()) <= exits.MEANINGS.keys()


def test_a_class_without_a_row_ends_as_the_one_above_it() -> None:
    class Stranger(TlsProblem):
        pass

    assert exits.code_of(Stranger("host", "why")) == exits.UNREACHABLE


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (InvalidReference("X", "is upper case"), exits.USAGE),
        (NotFound("host", "name", 404), exits.MISSING),
        (FileNotFoundError(2, "No such file or directory", "here"), exits.LOCAL),
        (ExceptionGroup("several", [NotFound("host", "name", 404)]), exits.MISSING),
    ],
)
def test_an_error_is_told_in_one_line(
    problem: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits.report(problem) == code
    told = capsys.readouterr().err
    assert told.startswith("retinue: ")
    assert told.count("\n") == 1


def test_of_several_failures_the_first_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    group = ExceptionGroup("both", [InvalidReference("X", "first"), OSError(2, "second")])
    assert exits.report(group) == exits.USAGE
    assert "(and 1 more)" in capsys.readouterr().err


def test_text_of_others_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    exits.report(RetinueError("red \x1b[31m, and a\nline"))
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert told.count("\n") == 1


def test_a_defect_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        exits.report(ZeroDivisionError())
