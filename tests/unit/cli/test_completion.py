"""Completion scripts say what the parsers say."""

import shutil
import subprocess

import pytest

from retinue.cli.completion import SHELLS, commands
from retinue.cli.main import VERBS
from running import Ask


def completed(ask: Ask, *words: str) -> set[str]:
    """What bash offers after these words; the last one is what is being typed."""
    script = ask("completion", "bash").out
    line = " ".join(f"'{word}'" for word in ("retinue", *words))
    program = (
        f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words)}; _retinue\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_verbs(ask: Ask) -> None:
    first = {verb.split()[0] for verb in VERBS}
    assert completed(ask, "") == {*first, "--help", "--version"}
    assert completed(ask, "attach", "sig") == {"signature"}
    assert completed(ask, "lo") == {"login", "logout"}


def test_options_of_a_verb(ask: Ask) -> None:
    assert completed(ask, "copy", "--wi") == {"--without-papers"}


def test_tasks_and_their_options(ask: Ask) -> None:
    assert completed(ask, "admin", "f") == {"fsck"}
    assert completed(ask, "admin", "fsck", "--re") == {"--repair", "--rebuild-links"}


def test_values_of_an_option(ask: Ask) -> None:
    assert completed(ask, "serve", "--log-format", "") == {"human", "json"}
    assert completed(ask, "serve", "--durable", "t") == {"true"}


def test_after_an_option_with_a_free_value_the_shell_completes_files(ask: Ask) -> None:
    assert completed(ask, "tree", "--ca-file", "x") == set()


def test_shells_as_choices(ask: Ask) -> None:
    assert completed(ask, "completion", "") >= set(SHELLS)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_in_every_script(ask: Ask, shell: str) -> None:
    script = ask("completion", shell).out
    for command in commands():
        assert command.words[-1] in script
        for flag in command.flags:
            assert all(name.lstrip("-") in script for name in flag.names)


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_valid(ask: Ask, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = ask("completion", shell).out
    subprocess.run([shell, "-n"], input=script, text=True, check=True)
