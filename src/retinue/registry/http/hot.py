"""Answers that were given before, given again: no handler, no look at the catalog, no wait.

One holds for a generation of the catalog (catalog/generation.py): whatever any process commits
ends them all. Whether the caller may have it is asked each time. Why: docs/adr/0008.
"""

from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple, Protocol

from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Action
from retinue.registry.content.services import Services
from retinue.registry.http.exchange import Again, Fields, Headers, Request, Response, Scope, Wire
from retinue.registry.http.routes import Route
from retinue.registry.http.write import size_of
from retinue.registry.metrics import Metrics, Places

OVERHEAD = 1024
"""What an answer costs besides its body: key, headers, links of the table."""

Key = tuple[str, str, str]
"""Method, path, query."""


class Answer(NamedTuple):
    """`headers` are all but the request id; `body` None: of a HEAD."""

    repository: str
    headers: Headers
    body: bytes | None
    again: Again
    places: Places


@dataclass(slots=True)
class Page:
    """The answers of one generation; `used` bytes."""

    generation: int
    answers: dict[Key, Answer] = field(default_factory=dict)
    used: int = 0


class Caller(Protocol):
    """What names a request in logs."""

    def __call__(self, scope: Scope, wire: Wire, fields: Fields, who: Principal) -> str: ...


class Hot:
    """Answers up to `limit` bytes. One thread calls `keep`, one (the same or another) `answer`.

    `metrics` are those of the thread that calls `answer`. `arrived` tells a request's id, and
    logs it where that is asked for. `always`: headers of every answer.
    """

    def __init__(
        self, services: Services, metrics: Metrics, arrived: Caller, always: Headers
    ) -> None:
        self._limit = services.config.cache // 4
        self._gate = services.access
        self._pulls = services.pulls
        self._clock = services.clock
        self._metrics = metrics
        self._arrived = arrived
        self._always = always
        self._page = Page(-1)
        self.generation = services.catalog.generation

    @property
    def used(self) -> int:
        """Bytes."""
        return self._page.used

    def answer(self, scope: Scope, wire: Wire) -> bool:
        """Whether this request was answered; if not, nothing has happened."""
        begun = perf_counter()
        page = self._page
        found = page.answers.get((scope.method, scope.path, scope.query_string))
        if found is None:
            return False
        fields = scope.headers
        who = self._who(fields, found.repository)
        now = self._clock()
        if who is None or now >= found.again.until or _special(fields):
            return False
        if page.generation != self.generation():
            return False
        self._send(found, self._arrived(scope, wire, fields, who), wire)
        if found.again.pulled is not None:
            self._pulls.record(*found.again.pulled, now)
        sent = 0 if found.body is None else len(found.body)
        self._metrics.count(found.places, perf_counter() - begun, sent)
        self._metrics.hit()
        return True

    def _who(self, fields: Fields, repository: str) -> Principal | None:
        """Who asks, if that is known at once, and if he may."""
        if self._gate.open:
            return ANONYMOUS
        authorization = fields.get("authorization")
        if authorization is None and "authorization" in fields:
            return None
        who = self._gate.recall(authorization)
        if who is None or not self._gate.allows(who, Action.PULL, repository):
            return None
        return who

    def _send(self, found: Answer, request_id: str, wire: Wire) -> None:
        headers = [*found.headers, ("x-request-id", request_id)]
        if found.body is None:
            wire.response_empty(200, headers)
        else:
            wire.response_bytes(200, headers, found.body)

    def keep(
        self, generation: int | None, request: Request, route: Route, response: Response
    ) -> None:
        """Remember an answer that was made of what was read since it was this generation."""
        again, body = response.again, response.body
        if again is None or response.status != 200 or _special(request.headers):
            return
        if generation is None or generation != self.generation() or not isinstance(body, bytes):
            return
        head = request.method == "HEAD"
        cost = OVERHEAD + (0 if head else len(body))
        if cost > self._limit // 4:
            return
        if generation != self._page.generation or self._page.used + cost > self._limit:
            self._page = Page(generation)
        headers = [*response.headers, *self._always]
        if head:
            headers.append(("content-length", str(size_of(response))))
        places = self._metrics.places(route[0], request.method, 200)
        key = request.method, request.path, request.query
        self._page.answers[key] = Answer(route[1], headers, None if head else body, again, places)
        self._page.used += cost


def _special(fields: Fields) -> bool:
    """Whether the answer depends on more than the path and the query."""
    return "range" in fields or "if-none-match" in fields
