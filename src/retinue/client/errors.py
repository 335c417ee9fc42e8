"""What can go wrong with a registry, by whose fault it is.

Gates pass these messages to strangers. Of what a server sent they repeat only names of hosts, and
the code and message of an error document (`wire.codes`), never bytes that could not be read.

ClientError
├── Unreachable        no connection, or it broke (TlsProblem: we do not trust the other end;
│                      LocalAddress: a gate does not call its own machine)
├── ProtocolViolation  the answer is no valid HTTP, or not what the protocol promises
│   └── StrangersChallenge  who was not asked wants credentials
├── Unsupported        the registry, or the format, has no way to do this
└── Refused            the registry answered with a status that says no
    ├── Unauthorized 401  ├── Forbidden 403   ├── NotFound 404
    ├── PreconditionFailed 412  ├── RateLimited 429  └── ServerFault 5xx
"""

from collections.abc import Sequence
from http import HTTPStatus

from retinue.errors import RetinueError
from retinue.wire.codes import Diagnostic


class ClientError(RetinueError):
    """Root: `host` as the user named it, and the repository where there is one."""

    def __init__(self, message: str, *, host: str, repository: str | None = None) -> None:
        super().__init__(message)
        self.host = host
        self.repository = repository


class Unreachable(ClientError):
    """No connection came about, or it broke and repeating did not help."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(
            f"cannot reach {host}: {why}; check the name, the network and the proxy settings",
            host=host,
        )
        self.why = why


class TlsProblem(Unreachable):
    """The other end could not prove who it is."""

    def __init__(self, host: str, why: str) -> None:
        ClientError.__init__(
            self,
            f"cannot trust {host}: {why}; name its authority with --ca-file, "
            "or the host with --plain-http if it really speaks plain HTTP",
            host=host,
        )
        self.why = why


class LocalAddress(Unreachable):
    """A gate was to call its own machine, or the link's: it does so only for registries named."""

    def __init__(self, host: str) -> None:
        why = "it has an address of this machine or its link"
        remedy = "name the registry in the policy or with --local-registry if that is meant"
        ClientError.__init__(self, f"{host} is not asked: {why}; {remedy}", host=host)
        self.why = why


class ProtocolViolation(ClientError):
    """The answer breaks HTTP or the distribution protocol; nothing of it is used."""

    def __init__(self, host: str, why: str, *, repository: str | None = None) -> None:
        super().__init__(f"{host} answered with {why}", host=host, repository=repository)
        self.why = why


class StrangersChallenge(ProtocolViolation):
    """Credentials are wanted by, or for, another host than the registry; it gets none.

    `stranger` is that host.
    """

    def __init__(self, host: str, stranger: str, why: str, remedy: str) -> None:
        super().__init__(host, f"{why}; {remedy}")
        self.stranger = stranger


class Unsupported(ClientError):
    """The other side has no way to do this; repeating will not help."""

    def __init__(self, host: str, what: str, remedy: str) -> None:
        super().__init__(f"{host} cannot {what}; {remedy}", host=host)
        self.what = what
        self.remedy = remedy


class Refused(ClientError):
    """The registry answered no. `diagnostics` are its own words."""

    remedy = "see the registry's own message"

    def __init__(
        self,
        host: str,
        repository: str | None,
        status: int,
        diagnostics: Sequence[Diagnostic] = (),
        *,
        did: str = "the request",
    ) -> None:
        where = f"{host}/{repository}" if repository else host
        said = "; ".join(str(diagnostic) for diagnostic in diagnostics[:3]) or _phrase(status)
        super().__init__(
            f"{where} refused {did} with {status} ({said}); {self._advice(host)}",
            host=host,
            repository=repository,
        )
        self.status = status
        self.diagnostics = tuple(diagnostics)

    def _advice(self, host: str) -> str:
        return self.remedy.format(host=host)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "no reason"


class Unauthorized(Refused):
    remedy = "log in with `retinue login {host}`, or check the name: some registries hide what is missing"


class Forbidden(Refused):
    remedy = (
        "this account may not do it: ask for the right, or use `retinue login {host}` with another"
    )


class NotFound(Refused):
    remedy = "check the name with `retinue list {host}/...`"


class PreconditionFailed(Refused):
    remedy = "somebody changed it meanwhile: look again and repeat"


class RateLimited(Refused):
    """`retry_after` in seconds when the registry said it."""

    remedy = "wait and repeat, or log in with `retinue login {host}` for a higher limit"
    retry_after: float | None = None


class ServerFault(Refused):
    remedy = "the fault is the registry's: repeat later, or tell who runs {host}"


_BY_STATUS: dict[int, type[Refused]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    412: PreconditionFailed,
    429: RateLimited,
}


def refusal(
    host: str,
    repository: str | None,
    status: int,
    diagnostics: Sequence[Diagnostic] = (),
    *,
    did: str = "the request",
) -> Refused:
    """The error for an answer that is not the expected one."""
    kind = ServerFault if status >= 500 else _BY_STATUS.get(status, Refused)
    return kind(host, repository, status, diagnostics, did=did)
