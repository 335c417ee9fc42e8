"""Which gate a registry gets, and the administrator that it makes for itself."""

import secrets
from collections.abc import Callable
from pathlib import Path

from retinue.registry.access.gate import Gate, OpenGate
from retinue.registry.access.htpasswd import UserFile
from retinue.registry.access.rules import DEFAULT, EVERYBODY, Rules, parse_rule
from retinue.registry.config import BadOption, Config
from retinue.registry.metrics import Metrics

ADMIN = "admin"
FILE = "admin.htpasswd"


def users_file(config: Config) -> Path | None:
    """Where the users are; None: everybody may do everything."""
    if config.htpasswd is not None:
        return config.htpasswd
    if config.loopback or config.open:
        return None
    return config.data / FILE


def make_admin(config: Config) -> str | None:
    """Make an administrator where users are needed and nobody named any.

    Returns the password, which is kept nowhere else; None when there was nothing to do.
    """
    path = users_file(config)
    if path is None or path == config.htpasswd or path.exists():
        return None
    from argon2 import PasswordHasher

    password = secrets.token_urlsafe(18)
    line = f"{ADMIN}:{PasswordHasher().hash(password)}\n"
    path.touch(0o600, exist_ok=False)
    path.write_text(line, "ascii")
    return password


def gate(config: Config, now: Callable[[], float], metrics: Metrics) -> Gate:
    """Raises BadUsers, BadRule, BadOption. `now`: seconds, monotonic.

    Rules without users are kept too: whoever writes "anonymous read *" means it on loopback as well.
    """
    path = users_file(config)
    if path is None and EVERYBODY not in config.metrics_readers:
        readers = "; ".join(config.metrics_readers)
        raise BadOption("metrics_readers", readers, "nobody can log in: configure users too")
    if path is None and not config.rules:
        return OpenGate()
    return Gate(
        None if path is None else UserFile(path),
        Rules([parse_rule(rule) for rule in config.rules or DEFAULT]),
        failures=config.auth_failures,
        checks=config.auth_checks,
        key=secrets.token_bytes(32),
        now=now,
        metrics=metrics,
    )
