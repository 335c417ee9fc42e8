"""Running commands in this process, as a user would, with nothing of the user's own.

The fixtures are to be imported into a `conftest.py`.
"""

import asyncio
import io
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from retinue.cli.main import main


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Ask: TypeAlias = Callable[..., Ran]
AskBeside: TypeAlias = Callable[..., Awaitable[Ran]]


@pytest.fixture(autouse=True)
def nothing_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """No credentials, no settings, no colours; returns the folder of Docker's configuration."""
    folder = tmp_path_factory.mktemp("docker")
    for name in ("REGISTRY_AUTH_FILE", "RETINUE_CONFIG", "SOURCE_DATE_EPOCH", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`ask("list", host)`: run a command; `stdin` is text that it can read."""

    def run(*words: object, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return Ran(code, told.out, told.err)

    return run


@pytest.fixture
def ask_beside(ask: Ask) -> AskBeside:
    """The same in a thread, for tests whose registry lives in their own event loop."""

    async def run(*words: object, stdin: str = "") -> Ran:
        return await asyncio.to_thread(ask, *words, stdin=stdin)

    return run
