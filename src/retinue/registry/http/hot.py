"""Answers that were given before, given again: no handler, no look at the catalog, no wait.

One holds for a generation of the catalog (catalog/generation.py): whatever any process commits
ends them all. Whether the caller may have it is asked each time. Why: docs/adr/0008.
"""

import os
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Action
from retinue.registry.content.services import Services
from retinue.registry.http.exchange import Fields, Headers, Part, Request, Response, Scope, Wire
from retinue.registry.http.hosts import Hosts
from retinue.registry.http.routes import Route
from retinue.registry.http.write import size_of
from retinue.registry.metrics import Metrics, Places
from retinue.registry.storage.blobstore import LocalFile

OVERHEAD = 1024
"""What an answer costs besides its body: key, headers, links of the table."""

Key: TypeAlias = tuple[str, str, str]
"""Method, path, query."""
Arrived: TypeAlias = Callable[[Scope, Wire, Fields, Principal], str]
"""Tells the id of a request, and logs it where that is wanted."""


class Answer(NamedTuple):
    """`headers` are all but the request id; `body` None: of a HEAD. The rest is as in `Again`."""

    repository: str
    headers: Headers
    body: bytes | LocalFile | None
    sent: int
    places: Places
    until: int
    pulled: tuple[int, bytes] | None


class Page(Struct):
    """The answers of one generation; `used` bytes."""

    generation: int
    answers: dict[Key, Answer] = {}
    used: int = 0


class Hot:
    """Answers up to `limit` bytes. One thread calls `keep`, one (the same or another) `answer`.

    `metrics` are those of the thread that calls `answer`. `always`: headers of every answer.
    `sending` is told the size of each body that is sent.
    """

    def __init__(
        self,
        services: Services,
        metrics: Metrics,
        hosts: Hosts,
        arrived: Arrived,
        always: Headers,
        sending: Callable[[int], None],
    ) -> None:
        self._limit = services.config.cache // 4
        self._gate = services.access
        self._open = services.access.open
        self._pulls = services.pulls
        self._clock = services.clock
        self._metrics = metrics
        self._hosts = hosts
        self._arrived = arrived
        self._always = always
        self._sending = sending
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
        if found is None or page.generation != self.generation():
            return False
        repository, headers, body, sent, places, until, pulled = found
        fields = scope.headers
        if not self._hosts.seen(scope, fields):
            return False
        who = ANONYMOUS if self._open else self._who(fields, repository)
        now = self._clock()
        if who is None or now >= until or _special(fields) or not _sound(body):
            return False
        headers = [*headers, ("x-request-id", self._arrived(scope, wire, fields, who))]
        if body is None:
            wire.response_empty(200, headers)
        elif isinstance(body, LocalFile):
            wire.response_file(200, headers, str(body.path))
        else:
            wire.response_bytes(200, headers, body)
        self._sending(sent)
        if pulled is not None:
            self._pulls.record(*pulled, now)
        self._metrics.count(places, perf_counter() - begun, sent)
        self._metrics.hit()
        return True

    def _who(self, fields: Fields, repository: str) -> Principal | None:
        """Who asks, if that is known at once, and if he may."""
        authorization = fields.get("authorization")
        if authorization is None and "authorization" in fields:
            return None
        who = self._gate.recall(authorization)
        if who is None or not self._gate.allows(who, Action.PULL, repository):
            return None
        return who

    def keep(
        self, generation: int | None, request: Request, route: Route, response: Response
    ) -> None:
        """Remember an answer that was made of what was read since it was this generation."""
        again, body = response.again, response.body
        if again is None or response.status != 200 or isinstance(body, Part):
            return
        if generation is None or generation != self.generation() or _special(request.headers):
            return
        head = request.method == "HEAD"
        key = request.method, request.path, request.query
        cost = OVERHEAD + len(key[1]) + len(key[2])
        if isinstance(body, bytes) and not head:
            cost += len(body)
        if cost > self._limit // 4:
            return
        if generation != self._page.generation or self._page.used + cost > self._limit:
            self._page = Page(generation)
        elif key in self._page.answers:
            return
        headers = [*response.headers, *self._always]
        if head or isinstance(body, LocalFile):
            headers.append(("content-length", str(size_of(response))))
        places = self._metrics.places(route[0], request.method, 200)
        sent = 0 if head else size_of(response)
        kept = None if head else body
        self._page.answers[key] = Answer(route[1], headers, kept, sent, places, *again)
        self._page.used += cost


def _special(fields: Fields) -> bool:
    """Whether the answer depends on more than the path and the query."""
    return "range" in fields or "if-none-match" in fields or "if-match" in fields


def _sound(body: bytes | LocalFile | None) -> bool:
    """Whether a file is still what it was: damage is for the handlers to notice."""
    if not isinstance(body, LocalFile):
        return True
    try:
        return os.lstat(body.path).st_size == body.size
    except OSError:
        return False  # the question was whether it is
