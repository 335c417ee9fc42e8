"""Under which names this registry may be asked, and that each request says one (RFC 9112 3.2).

Any page can make its own name lead to 127.0.0.1 (DNS rebinding). A browser then takes what is open
there for a part of that page, which may read and write it; the Host still says the page's name.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from retinue.errors import RetinueError
from retinue.oci.hosts import is_loopback
from retinue.registry.access.bootstrap import users_file
from retinue.registry.config import ANY, Config
from retinue.registry.http.exchange import Fields, Scope
from retinue.wire.authority import MalformedHost, host

MAX_SEEN = 1024
"""Values that are remembered as good ones."""


class UnknownHost(RetinueError):
    """This registry is not to be asked under that name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"this registry does not answer to the host {name[:100]!r};"
            f" if clients are to reach it so, start it with --hosts {name[:100]}"
        )
        self.name = name


class Hosts:
    """`names` besides those of loopback; None: all."""

    def __init__(self, names: Collection[str] | None) -> None:
        self._names = None if names is None else frozenset(names)
        self._seen: set[str] = set()

    def seen(self, scope: Scope, fields: Fields) -> bool:
        """Whether a request names what was found good before. From any thread, on the hot path."""
        said = fields.get_all("host")
        authority = scope.authority
        if authority is None:
            return len(said) == 1 and said[0] in self._seen
        return not said and authority in self._seen and "host" not in fields

    def require(self, scope: Scope, fields: Fields) -> None:
        """Raises MalformedHost, UnknownHost. From the event loop's thread."""
        said = _said(scope, fields)
        if said is None:
            if self._names is not None:
                raise UnknownHost("")
            return
        name = host(said)
        if self._names is not None and name not in self._names and not is_loopback(name):
            raise UnknownHost(name)
        if len(self._seen) >= MAX_SEEN:
            self._seen.clear()
        self._seen.add(said)


def _said(scope: Scope, fields: Fields) -> str | None:
    """What a request says; None where it need not. Raises MalformedHost.

    In HTTP/2, and where the target is a whole URL, that says it too, and not something else.
    """
    lines = fields.get_all("host")
    if len(lines) > 1:
        raise MalformedHost(f"there are {len(lines)}")
    if not lines and "host" in fields:
        raise MalformedHost("it is not ASCII")
    if not lines and scope.http_version == "1.1":
        raise MalformedHost("there is none")
    authority = scope.authority
    said = lines[0] if lines else authority
    if said is not None and authority is not None and said.lower() != authority.lower():
        raise MalformedHost("the target of the request names another one")
    return said


def of(config: Config) -> Hosts:
    """What the configuration says; without a word of it, an open registry on loopback is asked
    under names of loopback, and any other one under all."""
    opened = config.loopback and users_file(config) is None
    if ANY in config.hosts or not (config.hosts or opened):
        return Hosts(None)
    external = urlsplit(config.external_url).hostname
    return Hosts([config.address[0], *config.hosts, *([external] if external else [])])
