"""What happens only on a terminal: questions, passwords that are not shown, colours."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from running import Ask
from serving import Serving

SECONDS = 30


class Terminal:
    """A command whose three streams are a terminal."""

    def __init__(self, *words: str, **environ: str) -> None:
        self._master, slave = pty.openpty()
        self._seen = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "retinue", *words],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm", **environ},
        )  # fmt: skip
        os.close(slave)

    def until(self, text: str) -> None:
        """Read until the terminal shows this."""
        while text.encode() not in self._seen:
            self._seen += self._read() or pytest.fail(f"{text!r} did not come: {self._seen!r}")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> tuple[int, str]:
        """The exit code, and all that was shown."""
        while part := self._read():
            self._seen += part
        os.close(self._master)
        return self._process.wait(), self._seen.decode()

    def _read(self) -> bytes:
        if not select.select([self._master], [], [], SECONDS)[0]:
            self._process.kill()
            pytest.fail(f"nothing more comes after {self._seen!r}")
        try:
            return os.read(self._master, 4096)
        except OSError:  # how Linux says that the other side is closed
            return b""


@pytest.fixture
def image(registry: Serving, ask: Ask, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An artifact at tag 1, in a repository of the test's own."""
    reference = f"{registry.host}/terminal/{request.node.name.partition('[')[0]}:1"
    (tmp_path / "file").write_text("content")
    assert ask("push", reference, tmp_path / "file").code == 0
    return reference


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("\n", 1)])
def test_deleting_asks_first(image: str, ask: Ask, answer: str, code: int) -> None:
    terminal = Terminal("delete", image)
    terminal.until("Continue? [y/N]")
    terminal.type(answer)
    assert terminal.end()[0] == code
    assert (ask("inspect", image).code == 3) is (code == 0)


def test_a_password_is_not_shown(registry: Serving, nothing_of_the_user: Path) -> None:
    terminal = Terminal("login", registry.host, DOCKER_CONFIG=str(nothing_of_the_user))
    terminal.until("Username: ")
    terminal.type("ada\n")
    terminal.until("Password: ")
    terminal.type("hush-hush\n")
    code, shown = terminal.end()
    assert (code, "hush-hush" in shown) == (0, False)
    assert "logged in" in shown
    assert registry.host in (nothing_of_the_user / "config.json").read_text()


def test_colours_are_for_those_who_want_them(image: str) -> None:
    environ = {"NO_COLOR": ""}
    assert "\x1b[" in Terminal("tree", image, **environ).end()[1]
    assert "\x1b[" not in Terminal("tree", image, NO_COLOR="1").end()[1]
