"""A development stack without sockets, at a fixed time, and what is signed against it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from retinue.attest.errors import SignerFailed
from retinue.attest.keyless import sign_keyless
from retinue.attest.root import TrustedRoot, read_root
from retinue.attest.services import Services, read_signing_config
from retinue.devstack.stack import Asked, Stack
from retinue.devstack.state import State, open_state

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW = START + timedelta(hours=1)
URL = "http://127.0.0.1:5555"
WHO = "dev@example.test"
STATEMENT = (
    b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"' + b"ab" * 32
    + b'"}}],"predicateType":"https://example.test/p","predicate":{"a": 1}}'
)  # fmt: skip

Answers = Callable[[str, bytes], bytes]


@dataclass
class Local:
    """`at` is the stack's time. `tamper` changes answers, by the end of the path."""

    stack: Stack
    at: datetime = NOW
    tamper: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)

    @property
    def root(self) -> TrustedRoot:
        return read_root(self.document("trusted_root.json"))

    def document(self, name: str) -> bytes:
        return json.dumps(self.stack.documents()[name]).encode()

    def services(self, name: str = "signing_config.v0.2.json") -> Services:
        return read_signing_config(self.document(name), self.root, self.at)

    def token(self, subject: str = WHO, **claims: str) -> str:
        return self.stack.issuer.mint(subject, claims, self.at)

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        parts = urlsplit(url)
        lower = {name.lower(): value for name, value in headers.items()}
        answer = self.stack.answer(Asked("POST", parts.path, lower, body))
        if answer.status >= 300:
            reason = f"it answered {answer.status} {answer.body.decode()}"
            raise SignerFailed(url, reason, answer.status)
        change = self.tamper.get(parts.path.rpartition("/")[2])
        return change(answer.body) if change else answer.body

    def sign(self, statement: bytes = STATEMENT, config: str = "signing_config.v0.2.json") -> bytes:
        return sign_keyless(statement, self.token(), self.services(config), self.at, send=self.send)


def local(folder: Path) -> Local:
    """In `folder`, which may have been one before. Close its `stack` when it is not needed."""
    return over(open_state(folder, START))


def over(state: State) -> Local:
    """A stack over keys that others may use, too."""
    at: list[Local] = []
    at.append(Local(Stack(state, URL, lambda: at[0].at)))
    return at[0]


@pytest.fixture(scope="session")
def stack_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests of a run: keys are made once."""
    folder = tmp_path_factory.getbasetemp() / "dev-stack"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def stack_state(stack_folder: Path) -> Iterator[State]:
    state = open_state(stack_folder, START)
    yield state
    state.folder.close()


@pytest.fixture
def dev(stack_state: State) -> Local:
    return over(stack_state)
