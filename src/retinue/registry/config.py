"""Every option of the registry, once. Flags, environment, file and docs derive from `Config`."""
# ruff: noqa: RUF009 -- option() returns a field

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from retinue.errors import RetinueError
from retinue.registry.options import (
    COUNT,
    DURATION,
    LIST,
    PATH,
    SIZE,
    SWITCH,
    TEXT,
    Option,
    option,
)
from retinue.wire import authority
from retinue.wire.masks import masked, secrets

ANY = "*"
"""Among `hosts`: every other one too."""
PREFIX = "RETINUE_"
FILE_VARIABLE = "RETINUE_CONFIG"  # names the configuration file; read by the command line
ALIKE = 0.8
"""How much a name must have of an option's, to be taken for a typing error (0 to 1)."""
NO_OPTIONS = {FILE_VARIABLE, "RETINUE_PASSWORD", "RETINUE_TOOLS", "RETINUE_VENV", "RETINUE_LARGE"}


class BadOption(RetinueError):
    """An option has a value that it cannot have. `origin` says where the value was given."""

    def __init__(self, name: str, origin: str, reason: str) -> None:
        super().__init__(masked(f"{name} ({origin}): {reason}"))
        self.name = name
        self.origin = origin
        self.reason = reason


class UnknownOption(RetinueError):
    """There is no such option; a typing error in one that protects must not pass unnoticed."""

    def __init__(self, name: str, origin: str, alike: str | None) -> None:
        hint = f"; did you mean {alike!r}?" if alike else ""
        super().__init__(f"{origin}: there is no option {name!r}{hint}")
        self.name = name
        self.origin = origin
        self.alike = alike


class UnreadableFile(RetinueError):
    """The configuration file is missing or is no TOML."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The options, checked. Durations in seconds, sizes in bytes."""

    data: Path = option(Path("retinue-data"), PATH, "folder of the catalog and the blobs")
    listen: str = option("127.0.0.1:5000", TEXT, "address and port to listen on")
    database: str = option(
        "", TEXT, "sqlite:PATH or postgresql://…; by default catalog.db in the data folder"
    )
    database_wait: float = option(
        60.0, DURATION, "time that a start waits for a PostgreSQL server that does not answer"
    )
    workers: int = option(0, COUNT, "worker processes; 0: one for each core")
    threads: int = option(4, COUNT, "threads for file work in each worker", least=1)
    pin: bool = option(True, SWITCH, "one worker for each core: keep its network threads there")
    durable: bool = option(
        True, SWITCH, "acknowledge a push only once it is on disk; false loses data on power loss"
    )
    external_url: str = option(
        "", TEXT, "URL under which clients reach this registry, with a path where a proxy adds one"
    )
    hosts: tuple[str, ...] = option(
        (),
        LIST,
        "names and addresses (without port) under which clients may ask, besides those of loopback"
        " and external_url; '*': any; by default any, but on an open registry on loopback no others",
    )
    trusted_proxies: tuple[str, ...] = option(
        (), LIST, "networks whose X-Forwarded-For is believed"
    )
    tls_cert: Path | None = option(
        None, PATH, "certificate chain (PEM); read again when it changes"
    )
    tls_key: Path | None = option(None, PATH, "private key of the certificate (PEM)")
    htpasswd: Path | None = option(
        None, PATH, "file of users and bcrypt or argon2 hashes; read again when it changes"
    )
    rules: tuple[str, ...] = option(
        (),
        LIST,
        "who may do what: 'USER[,USER] read|write GLOB', where USER may be 'anonymous' or"
        " 'users'; by default 'users write *'",
    )
    open: bool = option(
        False, SWITCH, "let anybody do anything also beyond loopback, where no users are configured"
    )
    auth_failures: int = option(
        30,
        COUNT,
        "failed logins per minute of one user from one address (IPv6: /64); of all users ten times as many",
        least=1,
    )
    auth_checks: int = option(
        2, COUNT, "passwords that each worker checks at the same time; others wait", least=1
    )
    anonymous_body: int = option(
        1 << 20,
        SIZE,
        "what is read of a body, and dropped, where users are needed and its sender is none",
    )
    max_manifest: int = option(4 << 20, SIZE, "largest manifest", least=1 << 10)
    max_blob: int = option(0, SIZE, "largest blob; 0: no limit")
    max_tags: int = option(32, COUNT, "tags that one manifest push may set", least=10)
    inline_blob: int = option(64 << 10, SIZE, "blobs up to this size are kept in the catalog")
    sparse: bool = option(False, SWITCH, "accept indexes whose children are missing")
    read_only: bool = option(
        False, SWITCH, "serve what is there and change nothing: no push, no upkeep, no migration"
    )
    referrers_page: int = option(4 << 20, SIZE, "referrers lists are paged past this size")
    cache: int = option(64 << 20, SIZE, "memory for what is read often, in each worker")
    old_discovery: bool = option(False, SWITCH, "answer the discovery endpoints of earlier drafts")
    notice: str = option("", TEXT, "text that clients are shown with every answer (Warning header)")
    upload_expires: float = option(
        604800.0, DURATION, "time after which an abandoned upload is dropped", least=60
    )
    grace: float = option(
        86400.0, DURATION, "time that unreferenced content is kept after its last use", least=1
    )
    paper_grace: float = option(
        604800.0, DURATION, "time that a paper waits for its subject", least=1
    )
    trash_delay: float = option(
        86400.0, DURATION, "time between deleting content and removing its file", least=1
    )
    untagged_grace: float = option(
        0.0,
        DURATION,
        "time that a manifest without a tag is kept after push, pull and untagging; 0: for ever",
    )
    gc_interval: float = option(300.0, DURATION, "time between collections; 0: none")
    scrub_interval: float = option(
        604800.0, DURATION, "time within which stored bytes are read and checked again; 0: never"
    )
    scrub_rate: int = option(16 << 20, SIZE, "bytes per second that checking may read", least=1)
    header_timeout: float = option(
        30.0, DURATION, "time for headers to come, and for a kept connection to idle", least=1
    )
    body_timeout: float = option(
        60.0, DURATION, "longest pause within a body, or for 256 KiB of a small one", least=0.1
    )
    connections: int = option(
        4096,
        COUNT,
        "connections that each worker keeps; when three quarters are taken, idle ones end, those of"
        " the address that has most first",
        least=64,
    )
    drain: float = option(30.0, DURATION, "time that requests under way get at shutdown", least=1)
    drain_delay: float = option(
        0.0, DURATION, "time at shutdown in which /readyz says no while requests are still served"
    )
    metrics_readers: tuple[str, ...] = option(
        ("anonymous",),
        LIST,
        "who may read /metrics: users by name, 'users' (all who log in), 'anonymous'",
    )
    log_format: str = option("human", TEXT, "shape of log lines", choices=("human", "json"))
    log_level: str = option(
        "info", TEXT, "least level that is logged", choices=("debug", "info", "warning", "error")
    )
    access_log: bool = option(False, SWITCH, "log every request")
    traces: str = option("", TEXT, "OTLP/HTTP endpoint for traces; needs retinue[tracing]")

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(each, getattr(self, each.name))
        _host_port(self.listen)
        if (self.tls_cert is None) != (self.tls_key is None):
            raise BadOption("tls_cert", "together", "tls_cert and tls_key are given both or not")
        for name in self.hosts:
            _known_host(name)
        for network in self.trusted_proxies:
            _network(network)
        if self.external_url:
            _url(self.external_url)

    @property
    def address(self) -> tuple[str, int]:
        return _host_port(self.listen)

    @property
    def base(self) -> str:
        """What every path of ours is put behind where clients are told one."""
        return self.external_url.rstrip("/")

    @property
    def catalog(self) -> str:
        """Where the catalog is, as `open_catalog` takes it."""
        return self.database or f"sqlite:{self.data / 'catalog.db'}"

    @property
    def loopback(self) -> bool:
        host = self.address[0]
        return host == "localhost" or ip_address(host).is_loopback


def _check(each: "Field[Any]", value: Any) -> None:
    meta: Option = each.metadata["option"]
    if meta.choices and value not in meta.choices:
        raise BadOption(each.name, "value", f"expected one of {', '.join(meta.choices)}")
    if meta.least is not None and value < meta.least:
        raise BadOption(each.name, "value", f"{value} is less than {meta.least:g}")


def _host_port(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadOption("listen", listen, "expected HOST:PORT with a port from 1 to 65535")
    if host != "localhost":
        try:
            ip_address(host)
        except ValueError as problem:
            raise BadOption("listen", listen, "HOST is an IP address or 'localhost'") from problem
    return ("127.0.0.1" if host == "localhost" else host), int(port)


def _known_host(name: str) -> None:
    bracketed = f"[{name}]" if ":" in name else name
    try:
        plain = name == ANY or authority.host(bracketed) == name
    except authority.MalformedHost:
        plain = False
    if not plain:
        raise BadOption("hosts", name, "expected a name in lower case, an address, or '*'")


def _network(text: str) -> None:
    try:
        ip_network(text)
    except ValueError as problem:
        raise BadOption("trusted_proxies", text, f"expected a network: {problem}") from problem


def _url(text: str) -> None:
    parts = urlsplit(text)
    plain = parts.hostname and "@" not in parts.netloc and not parts.query and not parts.fragment
    if parts.scheme not in ("http", "https") or not plain:
        raise BadOption("external_url", text, "expected http(s)://HOST[:PORT][/PATH]")


# ---- putting the sources together


@dataclass(frozen=True, slots=True)
class Setting:
    """One option as it is in force. `origin`: default, file, environment or flag."""

    name: str
    value: object
    origin: str
    help: str


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    return PREFIX + name.upper()


def options() -> Mapping[str, tuple[Option, object]]:
    """Name to option and default, in order of declaration; help and docs are made of it."""
    return {each.name: (each.metadata["option"], each.default) for each in fields(Config)}


def load(
    flags: Mapping[str, str | None], environ: Mapping[str, str], file: Path | None = None
) -> Config:
    """Flags win over the environment, which wins over the file.

    `flags` maps option names (`tls_cert`) to text, or None where the flag was not given.
    Raises BadOption, UnknownOption, UnreadableFile.
    """
    return Config(**{name: value for name, (value, _) in _given(flags, environ, file).items()})


def explain(
    flags: Mapping[str, str | None], environ: Mapping[str, str], file: Path | None = None
) -> tuple[Setting, ...]:
    """Each option in force, with where it came from; raises as `load` does."""
    given = _given(flags, environ, file)
    config = Config(**{name: value for name, (value, _) in given.items()})
    return tuple(
        Setting(
            name,
            _shown(getattr(config, name)),
            given[name][1] if name in given else "default",
            o.help,
        )
        for name, (o, _) in options().items()
    )


def _shown(value: object) -> object:
    """Secrets inside of URLs are not for the eyes of whoever reads a listing."""
    if isinstance(value, tuple):
        return tuple(map(_shown, value))
    return masked(value) if isinstance(value, str) else value


def secret_parts(config: Config) -> frozenset[str]:
    """What no log may say: secrets inside of URLs of any option."""
    values = (getattr(config, each.name) for each in fields(config))
    texts = [text for value in values for text in (value if isinstance(value, tuple) else (value,))]
    return frozenset().union(*(secrets(text) for text in texts if isinstance(text, str)))


def _given(
    flags: Mapping[str, str | None], environ: Mapping[str, str], file: Path | None
) -> dict[str, tuple[Any, str]]:
    known = options()
    found: dict[str, tuple[Any, str]] = {}
    for name, value, origin in (
        *_from_file(file),
        *_from_environ(environ, known),
        *((name, text, f"flag {flag(name)}") for name, text in flags.items() if text is not None),
    ):
        if name not in known:
            raise UnknownOption(name, origin, _alike(name, known))
        try:
            found[name] = known[name][0].kind.read(value), origin
        except ValueError as problem:
            raise BadOption(name, origin, str(problem)) from problem
    return found


def _alike(name: str, known: Iterable[str]) -> str | None:
    close = get_close_matches(name.replace("-", "_"), known, n=1, cutoff=ALIKE)
    return next(iter(close), None)


def _from_file(file: Path | None) -> Iterable[tuple[str, object, str]]:
    if file is None:
        return
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise UnreadableFile(file, str(problem)) from problem
    for key, value in table.items():
        yield key, value, f"file {file}"


def _from_environ(
    environ: Mapping[str, str], known: Iterable[str]
) -> Iterable[tuple[str, object, str]]:
    for key, value in environ.items():
        name = key.removeprefix(PREFIX).lower()
        if key.startswith(PREFIX) and name in known:
            yield name, value, f"environment {key}"


def unknown_variables(environ: Mapping[str, str]) -> Mapping[str, str | None]:
    """Variables with our prefix that set nothing, and the one that may be meant.

    They are no error: Kubernetes gives every container RETINUE_PORT and its like (the address of a
    Service) where a Service is called `retinue`.
    """
    known = options()
    found: dict[str, str | None] = {}
    for key in sorted(environ):
        name = key.removeprefix(PREFIX).lower()
        if key.startswith(PREFIX) and key not in NO_OPTIONS and name not in known:
            alike = _alike(name, known)
            found[key] = None if alike is None else variable(alike)
    return found
