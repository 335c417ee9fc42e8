"""Verbs, help, and how little is imported for them."""

import argparse
import subprocess
import sys

import pytest

from retinue import __version__
from retinue.cli.main import GROUPS, VERBS, overview, parser_of
from running import Ask

SLOW = ("asyncio", "ssl", "http", "dataclasses", "apsw", "granian")
SHARED = ("--json", "--dry-run", "--without-papers", "--platform", "--plain-http", "--ca-file")


def test_help_shows_every_verb_once_under_its_group() -> None:
    shown = [line.split()[0] for line in overview().splitlines() if line.startswith("  ")]
    assert sorted(verb for verb in VERBS if " " not in verb) == sorted(shown)
    assert {verb.group for verb in VERBS.values()} == set(GROUPS)


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_no_verb_is_a_question_for_help(ask: Ask, words: tuple[str, ...]) -> None:
    ran = ask(*words)
    assert (ran.code, ran.out) == (0, overview() + "\n")


def test_help_of_a_verb(ask: Ask) -> None:
    ran = ask("help", "tree")
    assert ran.code == 0
    assert "usage: retinue tree" in ran.out


@pytest.mark.parametrize("words", [("version",), ("--version",), ("-V",)])
def test_version(ask: Ask, words: tuple[str, ...]) -> None:
    assert f"retinue {__version__} " in ask(*words).out


def test_version_as_json(ask: Ask) -> None:
    assert __version__ == ask("version", "--json").json["version"]


def test_an_unknown_verb_ends_with_2_and_a_suggestion(ask: Ask) -> None:
    ran = ask("tre")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean 'tree'?" in ran.err


def test_a_wrong_option_is_told_in_one_line(ask: Ask) -> None:
    ran = ask("tree", "--jsn", "x")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "retinue tree --help" in ran.err


def test_options_are_not_guessed_from_their_beginnings(ask: Ask) -> None:
    assert ask("delete", "host/name:1", "--ye").code == 2


@pytest.mark.parametrize("words", [["version"], ["--help"]])
def test_start_imports_nothing_slow(words: list[str]) -> None:
    code = (
        "import sys; from retinue.cli.main import main; "
        f"main({words!r}); print([n for n in {SLOW!r} if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"serve", "admin", "completion"}))
def test_help_of_a_verb_imports_no_event_loop(verb: str) -> None:
    code = (
        "import sys; from retinue.cli.main import parser_of; "
        f"parser_of({verb!r}); print('asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def actions(verb: str) -> dict[str, argparse.Action]:
    found: dict[str, argparse.Action] = {}
    parsers: list[argparse.ArgumentParser] = [parser_of(verb)]
    while parsers:
        for action in parsers.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
            found |= dict.fromkeys(action.option_strings, action)
    return found


@pytest.mark.parametrize("option", SHARED)
def test_an_option_means_the_same_everywhere(option: str) -> None:
    means = {
        (action.help, str(action.metavar), str(action.nargs))
        for found in map(actions, VERBS)
        for name, action in found.items()
        if name == option
    }
    assert len(means) == 1


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"serve", "dev-stack", "completion"}))
def test_every_command_that_prints_can_print_json(verb: str) -> None:
    assert "--json" in actions(verb)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_argument_is_explained(verb: str) -> None:
    assert all(action.help or action.choices for action in actions(verb).values())


def test_ctrl_c_ends_with_130_and_no_traceback(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("retinue.cli.version.run", interrupted)
    assert (ask("version").code, ask("version").err) == (130, "")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = [sys.executable, "-m", "retinue", "completion", "bash"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert (running.stderr.read(), running.wait()) == (b"", 0)
