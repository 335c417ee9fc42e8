import re
from dataclasses import fields
from pathlib import Path

import pytest

from retinue.errors import RetinueError
from retinue.registry.config import (
    BadOption,
    Config,
    UnknownOption,
    UnreadableFile,
    explain,
    flag,
    load,
    options,
    unknown_variables,
    variable,
)


def toml(folder: Path, text: str) -> Path:
    file = folder / "retinue.toml"
    file.write_text(text)
    return file


def test_flags_win_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    file = toml(tmp_path, 'listen = "127.0.0.1:1"\nthreads = 1\nworkers = 1\n')
    environ = {"RETINUE_LISTEN": "127.0.0.1:2", "RETINUE_THREADS": "2", "PATH": "/bin"}
    config = load({"listen": "127.0.0.1:3", "threads": None}, environ, file)
    assert (config.listen, config.threads, config.workers) == ("127.0.0.1:3", 2, 1)


def test_what_belongs_to_the_command_line_and_the_scripts_is_no_option() -> None:
    environ = {"RETINUE_PASSWORD": "a key's", "RETINUE_TOOLS": "/tools", "RETINUE_VENV": "venv"}
    assert load({}, environ) == load({}, {})


def test_each_value_is_shown_with_where_it_came_from(tmp_path: Path) -> None:
    file = toml(tmp_path, "workers = 3\n")
    shown = {s.name: s for s in explain({"threads": "2"}, {"RETINUE_CACHE": "1MiB"}, file)}
    assert (shown["workers"].value, shown["workers"].origin) == (3, f"file {file}")
    assert (shown["cache"].value, shown["cache"].origin) == (1 << 20, "environment RETINUE_CACHE")
    assert (shown["threads"].value, shown["threads"].origin) == (2, "flag --threads")
    assert shown["durable"].origin == "default"
    assert shown.keys() == {each.name for each in fields(Config)}


def test_a_password_in_an_address_is_not_shown() -> None:
    given = {"database": "postgresql://me:secret@host/db"}
    (shown,) = (s.value for s in explain(given, {}) if s.name == "database")
    assert shown == "postgresql://me:***@host/db"
    assert load(given, {}).catalog == given["database"]


@pytest.mark.parametrize(
    ("flags", "text", "alike"),
    [
        ({}, 'htpaswd = "x"', "htpasswd"),
        ({}, 'tls-cert = "x"', "tls_cert"),
        ({"colour": "red"}, "", None),
    ],
)
def test_an_unknown_option_is_refused_with_what_was_meant(
    tmp_path: Path, flags: dict[str, str], text: str, alike: str | None
) -> None:
    with pytest.raises(UnknownOption) as caught:
        load(flags, {}, toml(tmp_path, text))
    assert alike == caught.value.alike


KUBERNETES = {
    "RETINUE_SERVICE_HOST": "10.96.0.7",
    "RETINUE_SERVICE_PORT": "5000",
    "RETINUE_SERVICE_PORT_HTTP": "5000",
    "RETINUE_PORT": "tcp://10.96.0.7:5000",
    "RETINUE_PORT_5000_TCP": "tcp://10.96.0.7:5000",
    "RETINUE_PORT_5000_TCP_PROTO": "tcp",
    "RETINUE_PORT_5000_TCP_PORT": "5000",
    "RETINUE_PORT_5000_TCP_ADDR": "10.96.0.7",
}
"""What a container gets beside a Service `retinue`."""


def test_unknown_variables_set_nothing_and_are_told_with_what_was_meant() -> None:
    environ = {**KUBERNETES, "RETINUE_HTPASWD": "x", "RETINUE_PASSWORD": "a key's", "PATH": "/bin"}
    assert load({}, environ) == load({}, {})
    found = unknown_variables(environ)
    assert found == {**dict.fromkeys(KUBERNETES), "RETINUE_HTPASWD": "RETINUE_HTPASSWD"}


def test_no_option_has_a_name_that_kubernetes_sets() -> None:
    """For a Service `retinue`, or one that is called `retinue-` and an option."""
    ends = re.compile(r"(^|_)(port|service_host|service_port(_.*)?|port_\d.*)$")
    assert not [name for name in options() if ends.search(name)]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_manifest", "5MiB", 5 << 20),
        ("max_manifest", "4096", 4096),
        ("scrub_rate", "1.5 KiB", 1536),
        ("grace", "24h", 86400.0),
        ("body_timeout", "500ms", 0.5),
        ("durable", "no", False),
        ("durable", "true", True),
        ("trusted_proxies", "10.0.0.0/8; ::1", ("10.0.0.0/8", "::1")),
        ("data", "/srv/x", Path("/srv/x")),
        ("log_format", "json", "json"),
    ],
)
def test_text_becomes_a_value(name: str, text: str, value: object) -> None:
    assert getattr(load({name: text}, {}), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("listen", "localhost"),
        ("listen", "host.example:80"),
        ("listen", "127.0.0.1:0"),
        ("listen", "127.0.0.1:65536"),
        ("workers", "-1"),
        ("workers", "many"),
        ("threads", "0"),
        ("max_manifest", "4XiB"),
        ("max_manifest", "10"),
        ("grace", "soon"),
        ("grace", "0"),
        ("durable", "perhaps"),
        ("log_format", "xml"),
        ("external_url", "registry.example"),
        ("external_url", "https://registry.example?x=1"),
        ("external_url", "https://me:secret@registry.example"),
        ("external_url", "https://:443/"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("tls_cert", "only.pem"),
        ("data", ""),
    ],
)
def test_a_value_that_cannot_be_is_refused_and_named(name: str, text: str) -> None:
    with pytest.raises(BadOption) as caught:
        load({name: text}, {})
    assert name == caught.value.name


@pytest.mark.parametrize("text", ["listen = ", "[a\n", "\x00"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnreadableFile):
        load({}, {}, toml(tmp_path, text))


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        load({}, {}, tmp_path / "none.toml")


@pytest.mark.parametrize("value", ["3", "true", "[1]"])
def test_types_of_the_file_are_checked(tmp_path: Path, value: str) -> None:
    with pytest.raises(RetinueError):
        load({}, {}, toml(tmp_path, f"rules = {value}\ndata = {value}"))


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [("127.0.0.1:1", True), ("localhost:1", True), ("[::1]:1", True), ("0.0.0.0:1", False)],
)
def test_loopback_is_recognised(listen: str, loopback: bool) -> None:
    assert loopback == load({"listen": listen}, {}).loopback


def test_every_option_has_help_a_flag_and_a_variable() -> None:
    for name, (option, _) in options().items():
        assert option.help
        assert flag(name).startswith("--")
        assert variable(name).startswith("RETINUE_")


def test_the_catalog_is_in_the_data_folder_unless_said_otherwise() -> None:
    assert load({"data": "/srv/x"}, {}).catalog == "sqlite:/srv/x/catalog.db"
