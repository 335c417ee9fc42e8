"""Administration beside a server that serves, and of its store alone."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from running import Ask
from serving import Serving

LARGE = os.urandom(200_000)
"""Too large for the catalog: this one is a file."""


@pytest.fixture
def served(start: Callable[..., Serving], ask: Ask, tmp_path: Path) -> Serving:
    """A registry with an artifact of one large file at tag 1."""
    serving = start(workers="1")
    (tmp_path / "large").write_bytes(LARGE)
    ran = ask("push", f"{serving.host}/app:1", tmp_path / "large")
    assert ran.code == 0, ran.err
    return serving


def damage(data: Path) -> None:
    """Change a byte of the one stored file."""
    [file] = [p for p in (data / "blobs").rglob("*") if p.is_file() and p.stat().st_size > 100_000]
    file.chmod(0o600)
    with file.open("r+b") as opened:
        opened.write(bytes([LARGE[0] ^ 1]))


def test_a_sound_store(served: Serving, ask: Ask) -> None:
    ran = ask("admin", "fsck", "--data", served.data)
    assert ran.code == 0, ran.err
    assert ran.lines[-1].endswith("all is well")
    assert ask("admin", "fsck", "--data", served.data, "--json").json["clean"] is True


def test_damage_is_found_and_served_no_longer(served: Serving, ask: Ask) -> None:
    damage(Path(served.data))
    assert ask("admin", "fsck", "--data", served.data, "--quick").code == 0
    found = ask("admin", "fsck", "--data", served.data)
    assert found.code == 1
    assert "damaged bytes" in found.out
    assert "--repair" in found.lines[-1]
    repaired = ask("admin", "fsck", "--data", served.data, "--repair")
    assert repaired.code == 1, "what the image has lost is not found again"
    assert repaired.lines[0].startswith("damaged bytes: ")
    assert repaired.lines[0].endswith("(repaired)")
    assert ask("pull", f"{served.host}/app:1", "oci-archive:never.tar").code != 0


def test_collection_keeps_what_is_needed(served: Serving, ask: Ask) -> None:
    ran = ask("admin", "gc", "--data", served.data, "--json")
    assert (ran.code, ran.json["manifests"], ran.json["busy"]) == (0, 0, False)
    assert ask("inspect", f"{served.host}/app:1").code == 0


def test_24_collection_keeps_what_the_server_promises(
    start: Callable[..., Serving], ask: Ask, tmp_path: Path
) -> None:
    """What is due by the terms under which it was pushed, and kept by those of now."""
    before = start(workers="1", grace="1s", untagged_grace="1s", gc_interval="1h")
    (tmp_path / "other").write_bytes(b"other")
    pushed = ask("push", f"{before.host}/app:1", tmp_path / "other", "--json")
    digest = pushed.json["digests"][0]
    assert ask("delete", f"{before.host}/app:1", "-y").code == 0
    before.stop()
    served = Serving(before.data, {"workers": "1", "grace": "30d", "gc_interval": "1h"})
    served.start()
    try:
        hasty = ("admin", "gc", "--data", served.data, "--grace", "1s", "--untagged-grace", "1s")
        short = (*hasty, "--shorten", "--json")
        await_manifests(ask, (*short, "--dry-run"), 1)
        assert ask(*hasty, "--dry-run", "--json").json["manifests"] == 0
        assert ask("inspect", f"{served.host}/app@{digest}").code == 0
        assert ask(*short).json["manifests"] == 1
        assert ask("inspect", f"{served.host}/app@{digest}").code != 0
    finally:
        served.stop()


def await_manifests(ask: Ask, command: tuple[object, ...], wanted: int) -> None:
    """Until that many are due: a second passes by itself."""
    end = time.monotonic() + 30
    while (ran := ask(*command)).json["manifests"] != wanted:
        assert time.monotonic() < end, ran.out
        time.sleep(0.1)


def test_collection_tells_what_would_go(served: Serving, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"other")
    host = served.host
    digest = ask("push", f"{host}/app:2", tmp_path / "other", "--json").json["digests"][0]
    assert ask("delete", f"{host}/app:2", "-y").code == 0
    kept = ask("admin", "gc", "--data", served.data, "--dry-run", "--json")
    assert (kept.code, kept.json["items"]) == (0, [])
    assert ask("inspect", f"{host}/app@{digest}").code == 0


def test_a_backup_becomes_a_registry(
    served: Serving, start: Callable[..., Serving], ask: Ask, tmp_path: Path
) -> None:
    saved, fresh = tmp_path / "saved", tmp_path / "fresh"
    made = ask("admin", "backup", saved, "--data", served.data, "--verify", "--json")
    assert (made.code, made.json["files"], made.json["missing"]) == (0, 1, 0), made.err
    again = ask("admin", "backup", saved, "--data", served.data)
    assert (again.code, again.err.count("\n")) == (10, 1)
    restored = ask("admin", "restore", saved, "--data", fresh, "--verify")
    assert restored.code == 0, restored.err
    assert ask("admin", "fsck", "--data", fresh).code == 0
    other = Serving(str(fresh), {"workers": "1"})
    other.start()
    try:
        pulled = ask("pull", f"{other.host}/app:1", "--output", tmp_path / "out")
        assert pulled.code == 0, pulled.err
        assert (tmp_path / "out" / "large").read_bytes() == LARGE
    finally:
        other.stop()


def test_what_is_no_backup(ask: Ask, tmp_path: Path) -> None:
    ran = ask("admin", "restore", tmp_path, "--data", tmp_path / "fresh")
    assert (ran.code, ran.err.count("\n")) == (10, 1)


@pytest.mark.parametrize("task", [("gc",), ("fsck",), ("backup", "b")])
def test_where_no_registry_is_none_is_made(ask: Ask, tmp_path: Path, task: tuple[str, ...]) -> None:
    ran = ask("admin", *task, "--data", tmp_path / "nothing")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert list(tmp_path.iterdir()) == []


def test_settings_say_where_they_come_from(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "retinue.toml"
    file.write_text('grace = "2h"\nthreads = 2\nrules = ["anonymous read *", "ada write *"]\n')
    monkeypatch.setenv("RETINUE_THREADS", "3")
    monkeypatch.setenv("RETINUE_DATABASE", "postgresql://ada:secret@db/retinue")
    monkeypatch.setenv("RETINUE_CONFIG", str(file))
    ran = ask("admin", "config", "--workers", "4", "--access-log", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["grace"] == {"value": 7200.0, "from": f"file {file}"}
    assert ran.json["threads"] == {"value": 3, "from": "environment RETINUE_THREADS"}
    assert ran.json["workers"] == {"value": 4, "from": "flag --workers"}
    assert ran.json["access_log"]["value"] is True
    assert ran.json["rules"]["value"] == ["anonymous read *", "ada write *"]
    assert ran.json["data"]["from"] == "default"
    assert "secret" not in ran.out
    text = ask("admin", "config").out
    assert "secret" not in text
    assert "grace" in text
    assert " 2h " in text


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--database", "postgresql://a@db/x?password=hush"), 0),
        (("--traces", "http://otel/?token=hush"), 0),
        (("--traces", "http://hush@otel/#hush"), 0),
        (("--notice", "see https://wiki/?key=hush"), 0),
        (("--rules", "anonymous read http://a:hush@b"), 0),
        (("--external-url", "http://a:hush@b/?hush"), 2),
        (("--listen", "http://a:hush@b"), 2),
    ],
)
def test_no_setting_shows_a_secret_of_its_url(
    ask: Ask, words: tuple[str, ...], code: int, form: tuple[str, ...]
) -> None:
    ran = ask("admin", "config", *words, *form)
    assert ran.code == code
    assert "hush" not in ran.out + ran.err


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hush%zz@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?password=hush&nonsense=hush",
        "postgres://u:hush@[::1/x",
    ],
)
def test_a_database_whose_url_is_wrong_is_a_wrong_option(
    ask: Ask, tmp_path: Path, url: str
) -> None:
    (tmp_path / "data").mkdir()
    ran = ask("admin", "fsck", "--data", tmp_path / "data", "--database", url)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "hush" not in ran.err


def test_lists_are_repeated_flags(ask: Ask) -> None:
    ran = ask(
        "admin", "config", "--rules", "anonymous read a", "--rules", "users write b", "--json"
    )
    assert ran.json["rules"]["value"] == ["anonymous read a", "users write b"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--listen", "nowhere"), 2),
        (("--grace", "soon"), 2),
        (("--durable", "maybe"), 2),
        (("--config", "/nonexistent.toml"), 10),
        (("--no-such-option",), 2),
    ],
)
def test_wrong_settings_are_refused(ask: Ask, words: tuple[str, ...], code: int) -> None:
    for command in (("admin", "config"), ("serve",)):
        ran = ask(*command, *words)
        assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)


def test_an_option_that_does_not_exist_is_no_small_matter(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "retinue.toml"
    file.write_text('htpaswd = "users"\n')
    ran = ask("admin", "config", "--config", file)
    assert ran.code == 2
    assert "htpasswd" in ran.err


def test_a_variable_that_is_no_option_is_told(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_HTPASWD", "users")
    ran = ask("admin", "config")
    assert ran.code == 0
    assert "RETINUE_HTPASWD (did you mean RETINUE_HTPASSWD?)" in ran.err


def test_a_task_must_be_named(ask: Ask) -> None:
    assert ask("admin").code == 2
    assert ask("admin", "mend").code == 2


def test_a_taken_port_ends_serving_with_10(served: Serving, ask: Ask, tmp_path: Path) -> None:
    ran = ask("serve", "--data", tmp_path / "other", "--listen", served.host)
    assert (ran.code, ran.err.count("\n")) == (10, 1)


def test_json_findings_can_be_read_by_programs(served: Serving, ask: Ask) -> None:
    damage(Path(served.data))
    ran = ask("admin", "fsck", "--data", served.data, "--json")
    assert json.dumps(ran.json)
    [finding] = ran.json["findings"]
    assert (finding["kind"], finding["repaired"]) == ("damaged bytes", False)


def test_a_folder_that_a_restore_left_half_full_is_not_served(
    served: Serving, ask: Ask, tmp_path: Path
) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (fresh / "restoring").touch()
    for words in (("serve", "--listen", "127.0.0.1:1"), ("admin", "fsck")):
        ran = ask(*words, "--data", fresh)
        assert (ran.code, ran.err.count("\n")) == (10, 1)
        assert "restore" in ran.err
    assert [each.name for each in fresh.iterdir()] == ["restoring"]


def test_a_backup_and_a_restore_say_what_they_lack(
    served: Serving, ask: Ask, tmp_path: Path
) -> None:
    damage(Path(served.data))
    made = ask("admin", "backup", tmp_path / "verified", "--data", served.data, "--verify")
    assert made.code == 1
    assert "not copied: sha256:" in made.out
    assert ask("admin", "backup", tmp_path / "saved", "--data", served.data).code == 0
    restored = ask("admin", "restore", tmp_path / "saved", "--data", tmp_path / "fresh", "--json")
    assert (restored.code, restored.json["damaged"]) == (1, 1)
    assert "hashes to" in restored.json["lost"][0]["why"]
