"""What a user types to name content: a repository in a registry, or a store on disk.

Names and tags: distribution-spec "Pulling manifests". Short forms are Docker's: `busybox` means
`docker.io/library/busybox`. Hosts are canonical once a reference is parsed (`hosts.py`), so that all
that compares names compares one spelling.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from retinue.errors import RetinueError
from retinue.oci import hosts
from retinue.oci.digest import Digest, InvalidDigest
from retinue.oci.digest import parse as parse_digest

DEFAULT_TAG = "latest"
MAX_NAME = 255

_PART = r"[a-z0-9]++(?:(?:\.|__?|-++)[a-z0-9]++)*+"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*+")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


class InvalidReference(RetinueError):
    """The text names no content; `reason` says which part is wrong."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"reference {text[:300]!r}: {reason}")
        self.text = text
        self.reason = reason


def valid_name(name: str) -> bool:
    """Whether this is a repository name: lower-case path, at most 255 characters."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def valid_tag(tag: str) -> bool:
    """Whether this is a tag: at most 128 characters, no slash, no colon."""
    return _TAG.fullmatch(tag) is not None


class Reference(Struct, frozen=True):
    """Content in a registry. With both tag and digest, the digest decides."""

    host: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        return f"{self.place}{_suffix(self.tag, self.digest)}"

    @property
    def place(self) -> str:
        """HOST/REPOSITORY: the name that rules match."""
        return f"{self.host}/{self.repository}"

    @property
    def target(self) -> str:
        """What to ask the registry for: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or DEFAULT_TAG


class Layout(Struct, frozen=True):
    """An OCI image layout folder."""

    path: str
    tag: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        return f"oci:{self.path}{_suffix(self.tag, self.digest)}"


class OciArchive(Struct, frozen=True):
    """An OCI image layout in a tar file."""

    path: str
    tag: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        return f"oci-archive:{self.path}{_suffix(self.tag, self.digest)}"


class DockerArchive(Struct, frozen=True):
    """A tar file as `docker save` writes it."""

    path: str
    tag: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        return f"docker-archive:{self.path}{_suffix(self.tag, self.digest)}"


Location: TypeAlias = Reference | Layout | OciArchive | DockerArchive

_ON_DISK: Mapping[str, type[Layout] | type[OciArchive] | type[DockerArchive]] = {
    "oci": Layout,
    "oci-archive": OciArchive,
    "docker-archive": DockerArchive,
}


def parse_location(text: str) -> Location:
    """A store form (`oci:DIR[:tag]`, …) or else a registry reference; raises InvalidReference."""
    scheme, colon, rest = text.partition(":")
    store = _ON_DISK.get(scheme)
    port, slash, _ = rest.partition("/")
    if not colon or store is None or (slash and port.isdigit()):
        return parse(text)
    digest = None
    if "@sha" in rest:
        rest, digest = _split_digest(text, rest)
    path, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        path, tag = rest, ""
    elif not valid_tag(tag):
        raise InvalidReference(text, f"{tag[:140]!r} is not a valid tag")
    if not path or "\0" in path:
        raise InvalidReference(text, f"a path must follow {scheme}:")
    return store(path, tag or None, digest)


def parse(text: str) -> Reference:
    """`[host/]name[:tag][@digest]`; raises InvalidReference."""
    rest, digest = _split_digest(text, text)
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not valid_tag(tag):
        raise InvalidReference(text, f"{tag[:140]!r} is not a valid tag")
    host, repository = _split_host(text, head + slash + last)
    if not valid_name(repository):
        raise InvalidReference(text, _why_name(repository))
    return Reference(host, repository, tag or None, digest)


def _split_digest(text: str, rest: str) -> tuple[str, Digest | None]:
    name, at, encoded = rest.rpartition("@")
    if not at:
        return rest, None
    try:
        return name, parse_digest(encoded)
    except InvalidDigest as error:
        raise InvalidReference(text, str(error)) from None


def _split_host(text: str, name: str) -> tuple[str, str]:
    """The first part is a host if it could not be a part of a name there."""
    host, slash, repository = name.partition("/")
    if not slash or not hosts.stands_alone(host):
        host, repository = hosts.HUB, name
    try:
        host = hosts.canonical(host)
    except hosts.BadHost:
        raise InvalidReference(text, f"{host[:160]!r} is not a valid host[:port]") from None
    if host == hosts.HUB and "/" not in repository:
        repository = f"library/{repository}"
    return host, repository


def _why_name(repository: str) -> str:
    if len(repository) > MAX_NAME:
        return f"the repository name has {len(repository)} characters; at most {MAX_NAME} work"
    if repository.lower() != repository:
        return f"the repository name {repository!r} must be lower case"
    return f"{repository!r} is not a valid repository name"


def _suffix(tag: str | None, digest: Digest | None) -> str:
    return (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
