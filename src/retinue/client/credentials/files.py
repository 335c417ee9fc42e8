"""Which files hold credentials, and in which order they are asked."""

from collections.abc import Mapping
from pathlib import Path

from retinue.client.credentials.config import Config
from retinue.client.credentials.credential import Credential


def candidates(environ: Mapping[str, str]) -> list[Path]:
    """Files to ask, in order; the first is where a login is written.

    `REGISTRY_AUTH_FILE` and `DOCKER_CONFIG` stand alone when they are set: whoever set them wants
    nothing from anywhere else.
    """
    if file := environ.get("REGISTRY_AUTH_FILE"):
        return [Path(file)]
    if folder := environ.get("DOCKER_CONFIG"):
        return [Path(folder) / "config.json"]
    home = Path(environ.get("HOME") or "/")
    found = [home / ".docker" / "config.json"]
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(runtime) / "containers" / "auth.json")
    settings = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return [*found, settings / "containers" / "auth.json"]


def lookup(host: str, repository: str | None, environ: Mapping[str, str]) -> Credential | None:
    """The first credential that any file has; raises CredentialsUnreadable."""
    for path in candidates(environ):
        found = Config(path, environ).lookup(host, repository)
        if found is not None:
            return found
    return None


def login(host: str, credential: Credential, environ: Mapping[str, str]) -> Path:
    """Keep a credential; returns the file (or the configuration of the helper) it went into."""
    config = Config(candidates(environ)[0], environ)
    config.store(host, credential)
    return config.path


def logout(host: str, environ: Mapping[str, str]) -> list[Path]:
    """Forget the host everywhere; returns the files that knew it."""
    configs = [Config(path, environ) for path in candidates(environ)]
    return [config.path for config in configs if config.erase(host)]
