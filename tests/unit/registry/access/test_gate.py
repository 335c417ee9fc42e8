import base64
import os
from pathlib import Path

import bcrypt
import pytest
from argon2 import PasswordHasher

from retinue.registry.access import htpasswd
from retinue.registry.access.bootstrap import gate, make_admin
from retinue.registry.access.failures import Failures, TooManyFailures
from retinue.registry.access.gate import Gate, OpenGate, Unauthenticated
from retinue.registry.access.htpasswd import BadUsers, UserFile
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Action, Rules, parse_rule
from retinue.registry.config import BadOption, Config
from retinue.registry.metrics import CELLS, LOGINS, Metrics

BCRYPT = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
ARGON2 = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("geheim")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(f"# people\nalice:{BCRYPT}\n\nbob:{ARGON2}\n")
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(file: Path, clock: Clock) -> Gate:
    rules = Rules([parse_rule("users read *")])
    return Gate(
        UserFile(file), rules, failures=3, checks=2, key=bytes(32), now=clock, metrics=Metrics()
    )


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(("name", "password"), [("alice", "secret"), ("bob", "geheim")])
async def test_the_right_password_says_who_it_is(door: Gate, name: str, password: str) -> None:
    assert Principal(name) == await door.identify(basic(name, password), "peer")


@pytest.mark.parametrize(
    "header",
    [
        basic("alice", "wrong"),
        basic("alice", ""),
        basic("carol", "secret"),
        basic("", ""),
        basic("alice", "se\0cret"),
        basic("alice", "x" * 2000),
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Bearer abc",
        "",
    ],
)
async def test_anything_else_is_refused_without_saying_why(door: Gate, header: str) -> None:
    with pytest.raises(Unauthenticated):
        await door.identify(header, "peer")


async def test_nobody_is_nobody(door: Gate) -> None:
    assert await door.identify(None, "peer") is ANONYMOUS


async def test_checked_passwords_are_counted(door: Gate) -> None:
    await door.identify(basic("alice", "secret"), "peer")
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await door.identify(basic("alice", "wrong"), "peer")
    cells = CELLS[LOGINS.name]
    counted = [door._metrics.cells[cells[result,]] for result in ("right", "wrong")]
    assert counted == [1, 2]


async def test_an_unknown_user_costs_the_same_work_as_a_known_one(
    door: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def matches(_password: str, hashed: str) -> bool:
        checked.append(hashed)
        return False

    monkeypatch.setattr(htpasswd, "matches", matches)
    for name in ("alice", "nobody"):
        with pytest.raises(Unauthenticated):
            await door.identify(basic(name, "x"), "peer")
    assert checked == [BCRYPT, BCRYPT]


async def test_a_password_is_checked_once_until_the_users_change(
    door: Gate, file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = 0

    def matches(_password: str, _hashed: str) -> bool:
        nonlocal checks
        checks += 1
        return True

    monkeypatch.setattr(htpasswd, "matches", matches)
    for _ in range(3):
        await door.identify(basic("alice", "secret"), "peer")
    clock.now += 86400
    await door.identify(basic("alice", "secret"), "peer")
    assert checks == 1
    file.write_text(file.read_text() + "\n")
    clock.now += 2
    await door.identify(basic("alice", "secret"), "peer")
    assert checks == 2


async def test_failures_are_limited_per_address_and_forgiven_with_time(
    door: Gate, clock: Clock
) -> None:
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await door.identify(basic("alice", "wrong"), "10.0.0.1")
    with pytest.raises(TooManyFailures) as caught:
        await door.identify(basic("alice", "secret"), "10.0.0.1")
    assert (await door.identify(basic("alice", "secret"), "10.0.0.2")).name == "alice"
    clock.now += caught.value.wait
    with pytest.raises(Unauthenticated):
        await door.identify(basic("alice", "wrong"), "10.0.0.1")


def test_addresses_are_remembered_within_bounds(clock: Clock) -> None:
    failures = Failures(3, clock)
    for number in range(20_000):
        failures.count(str(number))
    assert len(failures._levels) <= 10_000


async def test_a_removed_user_is_out_at_once(door: Gate, file: Path, clock: Clock) -> None:
    assert (await door.identify(basic("alice", "secret"), "peer")).name == "alice"
    file.write_text(f"bob:{ARGON2}\n")
    clock.now += 2
    with pytest.raises(Unauthenticated):
        await door.identify(basic("alice", "secret"), "peer")


async def test_a_file_that_is_broken_for_a_moment_locks_nobody_out(
    door: Gate, file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("alice\n")
    clock.now += 2
    assert (await door.identify(basic("alice", "secret"), "peer")).name == "alice"
    file.unlink()
    clock.now += 2
    assert (await door.identify(basic("bob", "geheim"), "peer")).name == "bob"
    assert "the users stay as they were" in caplog.text


def test_permission_follows_the_rules(door: Gate) -> None:
    assert door.allows(Principal("alice"), Action.PULL, "a")
    assert not door.allows(Principal("alice"), Action.PUSH, "a")
    assert not door.allows(ANONYMOUS, Action.PULL, "a")
    assert door.globs(Principal("alice"), Action.PULL) == ("*",)


@pytest.mark.parametrize(
    "text",
    [
        "alice",
        ":hash",
        "alice:",
        "alice:plain",
        "alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "alice:$apr1$x$y",
        f"alice:{BCRYPT}\nalice:{BCRYPT}",
        f"anonymous:{BCRYPT}",
        f"users:{BCRYPT}",
    ],
)
def test_weak_hashes_and_doubtful_lines_are_refused(text: str) -> None:
    with pytest.raises(BadUsers):
        htpasswd.parse(Path("users"), text)


def test_hashes_of_the_apache_tool_are_understood() -> None:
    assert htpasswd.matches("secret", BCRYPT.replace("$2b$", "$2y$"))


def test_long_passwords_are_cut_where_bcrypt_cuts_them() -> None:
    hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert htpasswd.matches("x" * 100, hashed)


def test_on_loopback_it_starts_open(tmp_path: Path, clock: Clock) -> None:
    config = Config(data=tmp_path)
    assert make_admin(config) is None
    assert isinstance(gate(config, clock, Metrics()), OpenGate)


async def test_beyond_loopback_an_administrator_is_made_once(tmp_path: Path, clock: Clock) -> None:
    config = Config(data=tmp_path, listen="0.0.0.0:5000")
    password = make_admin(config)
    assert password is not None
    door = gate(config, clock, Metrics())
    admin = await door.identify(basic("admin", password), "peer")
    assert door.allows(admin, Action.DELETE, "a")
    assert not door.allows(ANONYMOUS, Action.PULL, "a")
    assert make_admin(config) is None
    stored = tmp_path / "admin.htpasswd"
    assert password not in stored.read_text()
    assert stored.stat().st_mode & 0o077 == 0


def test_beyond_loopback_with_users_or_openness_configured_nobody_is_made(
    tmp_path: Path, file: Path, clock: Clock
) -> None:
    named = Config(data=tmp_path, listen="0.0.0.0:5000", htpasswd=file)
    opened = Config(data=tmp_path, listen="0.0.0.0:5000", open=True)
    assert make_admin(named) is None
    assert make_admin(opened) is None
    assert not gate(named, clock, Metrics()).open
    assert gate(opened, clock, Metrics()).open


async def test_rules_hold_on_loopback_without_users_too(tmp_path: Path, clock: Clock) -> None:
    door = gate(Config(data=tmp_path, rules=("anonymous read *",)), clock, Metrics())
    assert door.allows(ANONYMOUS, Action.PULL, "a")
    assert not door.allows(ANONYMOUS, Action.PUSH, "a")
    with pytest.raises(Unauthenticated):
        await door.identify(basic("alice", "secret"), "peer")


def test_users_that_cannot_be_read_stop_the_start(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(BadUsers):
        gate(Config(data=tmp_path, htpasswd=tmp_path / "none"), clock, Metrics())


async def test_a_key_of_another_process_remembers_nothing(file: Path, clock: Clock) -> None:
    doors = [
        Gate(
            UserFile(file),
            Rules([]),
            failures=3,
            checks=2,
            key=os.urandom(32),
            now=clock,
            metrics=Metrics(),
        )
        for _ in range(2)
    ]
    for each in doors:
        await each.identify(basic("alice", "secret"), "peer")
    assert doors[0]._remembered.keys() != doors[1]._remembered.keys()


@pytest.mark.parametrize("readers", [(), ("users",), ("ann",)])
def test_where_nobody_can_log_in_metrics_cannot_be_for_users(
    tmp_path: Path, clock: Clock, readers: tuple[str, ...]
) -> None:
    with pytest.raises(BadOption):
        gate(Config(data=tmp_path, metrics_readers=readers), clock, Metrics())
