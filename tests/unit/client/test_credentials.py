import json
import stat
from pathlib import Path

import pytest

from retinue.client.credentials.config import HUB_KEY, Config
from retinue.client.credentials.credential import (
    Credential,
    CredentialsUnreadable,
    IdentityToken,
    Password,
    RegistryToken,
)
from retinue.client.credentials.files import candidates, login, logout, lookup
from retinue.client.credentials.helpers import Helper

AUTH = {"auth": "bWU6c2VjcmV0"}
ME = Password("me", "secret")

HELPER = """#!/bin/sh
# a credential helper that keeps one file per server
file="$STORE/$(cat | tee "$STORE/input" | tr -c 'a-z0-9\\n' _ | head -c 60)"
case "$1" in
get) if [ -f "$file" ]; then cat "$file"; else echo "credentials not found in native keychain"; exit 1; fi ;;
store) cp "$STORE/input" "$STORE/stored" ;;
erase) rm -f "$file" ;;
esac
"""


def config(folder: Path, **document: object) -> Config:
    (folder / "config.json").write_text(json.dumps(document))
    return Config(folder / "config.json", {"PATH": "/nowhere"})


@pytest.mark.parametrize(
    ("auths", "host", "expected"),
    [
        ({"r.example": AUTH}, "r.example", ME),
        ({"r.example:5000": AUTH}, "r.example:5000", ME),
        ({"r.example": AUTH}, "other.example", None),
        ({"https://r.example": AUTH}, "r.example", ME),
        ({"https://r.example/v2/": AUTH}, "r.example", ME),
        ({HUB_KEY: AUTH}, "docker.io", ME),
        ({"docker.io": AUTH}, "docker.io", ME),
        ({"r.example": {"username": "me", "password": "secret"}}, "r.example", ME),
        ({"r.example": {"identitytoken": "t"}}, "r.example", IdentityToken("t")),
        ({"r.example": {"registrytoken": "t"}}, "r.example", RegistryToken("t")),
        ({"r.example": {}}, "r.example", None),
        ({"R.example:443": AUTH}, "r.example", ME),
        ({"https://R.example./v2/": AUTH}, "r.example", ME),
        ({"r.example": AUTH, "R.example": {"identitytoken": "t"}}, "r.example", ME),
        ({"r.example:80": AUTH}, "r.example", None),
        ({"localhost:80": AUTH}, "localhost", ME),
        ({"registry": AUTH}, "registry:443", ME),
    ],
)
def test_entries(
    tmp_path: Path, auths: dict[str, object], host: str, expected: Credential | None
) -> None:
    assert expected == config(tmp_path, auths=auths).lookup(host)


def test_the_closest_entry_counts(tmp_path: Path) -> None:
    auths = {"r.example": AUTH, "r.example/team": {"identitytoken": "team's"}}
    made = config(tmp_path, auths=auths)
    assert made.lookup("r.example", "team/app") == IdentityToken("team's")
    assert made.lookup("r.example", "other/app") == ME


def test_a_missing_file_knows_nothing(tmp_path: Path) -> None:
    assert Config(tmp_path / "none.json", {}).lookup("r.example") is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"auths":[]}',
        '{"auths":{"r.example":{"auth":"%%%"}}}',
        '{"auths":{"r.example":{"auth":"bm9jb2xvbg=="}}}',
        '{"auths":{"r.example":{"username":"me"}}}',
        '{"credsStore":7}',
        '{"credsStore":"../evil"}',
        '{"credsStore":"absent"}',
    ],
)
def test_a_damaged_file_is_no_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CredentialsUnreadable):
        Config(tmp_path / "config.json", {"PATH": "/nowhere"}).lookup("r.example")


def test_a_login_is_kept_for_the_owner_alone_and_forgotten(tmp_path: Path) -> None:
    environ = {"DOCKER_CONFIG": str(tmp_path / "new")}
    path = login("r.example", ME, environ)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lookup("r.example", None, environ) == ME
    assert logout("r.example", environ) == [path]
    assert lookup("r.example", None, environ) is None
    assert logout("r.example", environ) == []


def test_a_logout_forgets_every_spelling(tmp_path: Path) -> None:
    kept = config(tmp_path, auths={"R.example:443": AUTH, "r.example": AUTH, "s.example": AUTH})
    assert kept.erase("r.example")
    assert json.loads((tmp_path / "config.json").read_text())["auths"] == {"s.example": AUTH}


def test_a_rewrite_keeps_what_it_does_not_know(tmp_path: Path) -> None:
    made = config(tmp_path, auths={"a": AUTH}, proxies={"default": {}}, HttpHeaders={"x": "y"})
    made.store("r.example", IdentityToken("t"))
    document = json.loads((tmp_path / "config.json").read_text())
    assert document["proxies"] == {"default": {}}
    assert document["HttpHeaders"] == {"x": "y"}
    assert document["auths"] == {"a": AUTH, "r.example": {"identitytoken": "t"}}


def test_where_credentials_are() -> None:
    home = {"HOME": "/home/me", "XDG_RUNTIME_DIR": "/run/me"}
    assert [str(path) for path in candidates(home)] == [
        "/home/me/.docker/config.json",
        "/run/me/containers/auth.json",
        "/home/me/.config/containers/auth.json",
    ]
    assert candidates({**home, "DOCKER_CONFIG": "/x"}) == [Path("/x/config.json")]
    assert candidates({**home, "REGISTRY_AUTH_FILE": "/y"}) == [Path("/y")]


def test_podmans_file_is_asked_after_dockers(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    file = tmp_path / "run" / "containers" / "auth.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"auths": {"r.example": AUTH}}))
    assert lookup("r.example", None, environ) == ME
    login("r.example", IdentityToken("t"), environ)
    assert lookup("r.example", None, environ) == IdentityToken("t")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with a helper `test`, whose store is the folder."""
    program = tmp_path / "docker-credential-test"
    program.write_text(HELPER)
    program.chmod(0o700)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin", "STORE": str(tmp_path)}


def test_a_helper_is_asked(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "r_example").write_text('{"Username":"me","Secret":"secret"}')
    helper = Helper("test", environ)
    assert helper.get("r.example") == ME
    assert helper.get("other") is None
    helper.erase("r.example")
    assert helper.get("r.example") is None


def test_a_helper_may_hold_an_identity_token(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "r_example").write_text('{"Username":"<token>","Secret":"t"}')
    assert Helper("test", environ).get("r.example") == IdentityToken("t")


@pytest.mark.parametrize("output", ["", "[]", '{"Username":1,"Secret":2}', '{"Username":"x"}'])
def test_a_helper_that_prints_nonsense(
    tmp_path: Path, environ: dict[str, str], output: str
) -> None:
    (tmp_path / "r_example").write_text(output)
    with pytest.raises(CredentialsUnreadable):
        Helper("test", environ).get("r.example")


def test_a_configured_helper_comes_first_and_is_stored_to(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    document = {"credHelpers": {"r.example": "test"}, "auths": {"r.example": AUTH}}
    (tmp_path / "config.json").write_text(json.dumps(document))
    made = Config(tmp_path / "config.json", environ)
    assert made.lookup("r.example") == ME  # the helper knows none, the file does
    (tmp_path / "r_example").write_text('{"Username":"helped","Secret":"s"}')
    assert made.lookup("r.example") == Password("helped", "s")
    made.store("r.example", Password("new", "hidden"))
    assert json.loads((tmp_path / "stored").read_text())["Secret"] == "hidden"
    assert "hidden" not in (tmp_path / "config.json").read_text()
    assert made.erase("r.example")
    assert made.lookup("r.example") is None
