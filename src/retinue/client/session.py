"""Requests to one repository, authorised: the driver of the token dance."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from retinue.client.credentials.credential import Credential
from retinue.client.errors import (
    ProtocolViolation,
    RateLimited,
    Refused,
    StrangersChallenge,
    refusal,
)
from retinue.client.http1 import Headers
from retinue.client.locations import Place, joined, place, shown
from retinue.client.retry import retry_after
from retinue.client.tokens import (
    MAX_REPLY,
    Authenticator,
    Dance,
    Scope,
    TokenReply,
    TokenRequest,
)
from retinue.client.transport import Answer, Request, Response, Transport
from retinue.wire import challenge
from retinue.wire.challenge import Challenge, MalformedChallenge
from retinue.wire.codes import read_errors

PULL = frozenset({"pull"})
PUSH = frozenset({"pull", "push"})
DELETE = frozenset({"pull", "delete"})

SMALL = 1024 * 1024
"""Bytes of an answer that holds no content: errors, acknowledgements."""

Lookup = Callable[[str, str | None], Credential | None]
"""Host and repository to the credential for it."""

_API_HOSTS = {"docker.io": "registry-1.docker.io"}


class Session:
    """`host` is as users name it; `repository` is None for what concerns the whole registry."""

    def __init__(
        self,
        transport: Transport,
        host: str,
        repository: str | None,
        credentials: Lookup,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transport = transport
        self.host = host
        self.repository = repository
        self._base = transport.base(_API_HOSTS.get(host, host))
        self._credentials = credentials
        self._clock = clock
        self._authenticator: Authenticator | None = None
        self._lock = asyncio.Lock()

    async def request(
        self,
        method: str,
        target: str,
        *,
        actions: frozenset[str] = PULL,
        also: Sequence[Scope] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int = SMALL,
        repeat: bool = True,
    ) -> Answer:
        """A whole answer, whatever its status. `target` is a path, or the URL of a Location."""
        scopes = self._scopes(actions, also)
        request = Request(method, self._url(target), headers or {}, body, repeat=repeat)
        authorised, sent = await self._authorised(request, scopes)
        answer = await self.transport.request(authorised, limit=limit)
        if answer.status != 401:
            return answer
        self._own(answer.url)
        await self._answer(answer.headers, scopes, sent)
        authorised, sent = await self._authorised(request, scopes)
        return await self.transport.request(authorised, limit=limit)

    @asynccontextmanager
    async def exchange(
        self,
        method: str,
        target: str,
        *,
        actions: frozenset[str] = PULL,
        headers: Mapping[str, str] | None = None,
        body: AsyncIterator[bytes] | None = None,
        length: int | None = None,
    ) -> AsyncIterator[Response]:
        """An answer whose body is still to be read. A body of chunks is sent once, never again."""
        scopes = self._scopes(actions, ())
        request = Request(method, self._url(target), headers or {}, body, length)
        authorised, sent = await self._authorised(request, scopes)
        async with self.transport.exchange(authorised) as response:
            if response.status != 401 or body is not None:
                yield response
                return
            self._own(response.url)
            refused = response.headers
            await response.read(SMALL)
        await self._answer(refused, scopes, sent)
        authorised, sent = await self._authorised(request, scopes)
        async with self.transport.exchange(authorised) as response:
            yield response

    def refusal(self, answer: Answer, did: str) -> Refused:
        """The error for an answer that is not the expected one. `did`: what was refused."""
        return self.refused(answer, answer.body, did)

    def refused(self, answer: Answer | Response, body: bytes, did: str) -> Refused:
        """The same for an answer whose body was read apart. Who was asked elsewhere is named."""
        if not self.same_host(answer.url):
            did = f"{did} at {shown(self._place(answer.url))}, where it keeps that,"
        diagnostics = read_errors(body)
        problem = refusal(self.host, self.repository, answer.status, diagnostics, did=did)
        if isinstance(problem, RateLimited):
            problem.retry_after = retry_after(answer.headers)
        return problem

    def same_host(self, url: str) -> bool:
        """Whether a URL that the registry named stays with it."""
        if url.startswith(f"{self._base}/"):
            return True
        return self._place(self._base) == self._place(joined(self._base, url, self.host))

    def _place(self, url: str) -> Place:
        return place(url, self.host)

    def _own(self, url: str) -> None:
        """Challenges count from the registry alone; raises StrangersChallenge for others (a CDN
        that a redirect or a Location leads to could name its own token server: CVE-2020-15157).
        """
        if not self.same_host(url):
            stranger = shown(self._place(url))
            why = f"a location at {stranger}, which wants credentials (401)"
            remedy = "those of the registry are for it alone: tell who runs it"
            raise StrangersChallenge(self.host, stranger, why, remedy)

    def _url(self, target: str) -> str:
        """A path of ours, as nearly all are, needs no parsing."""
        ours = target.startswith("/v2/")
        return self._base + target if ours else joined(self._base, target, self.host)

    def _scopes(self, actions: frozenset[str], also: Sequence[Scope]) -> tuple[Scope, ...]:
        own = (Scope(self.repository, actions),) if self.repository else ()
        return (*own, *also)

    async def _authorised(
        self, request: Request, scopes: Sequence[Scope]
    ) -> tuple[Request, str | None]:
        """The request with what authorises it. Elsewhere than at the registry, that is nothing."""
        if not self.same_host(request.url):
            return request, None
        authenticator = await self._known()
        if authenticator.foresee(scopes) is not None:
            async with self._lock:  # one dance for all that wait for the same token
                dance = authenticator.foresee(scopes)
                if dance is not None:
                    await self._drive(dance)
        header = authenticator.header(scopes)
        if header is None:
            return request, None
        return replace(request, headers={**request.headers, "authorization": header}), header

    async def _answer(self, headers: Headers, scopes: Sequence[Scope], sent: str | None) -> None:
        authenticator = await self._known()
        async with self._lock:
            if authenticator.header(scopes) not in {sent, None}:
                return  # somebody else has done it while we waited
            await self._drive(authenticator.respond(self._challenges(headers), scopes, sent))

    def _challenges(self, headers: Headers) -> list[Challenge]:
        found: list[Challenge] = []
        for value in headers.all("www-authenticate"):
            try:
                found += challenge.parse(value)
            except MalformedChallenge as problem:
                raise ProtocolViolation(self.host, str(problem)) from problem
        return found

    async def _known(self) -> Authenticator:
        if self._authenticator is None:
            async with self._lock:
                if self._authenticator is None:
                    credential = await asyncio.to_thread(
                        self._credentials, self.host, self.repository
                    )
                    named = self.transport.settings.token_servers
                    self._authenticator = Authenticator(
                        self.host,
                        credential,
                        api=self._place(self._base),
                        named={server for registry, server in named if registry == self.host},
                        clock=self._clock,
                    )
        return self._authenticator

    async def _drive(self, dance: Dance) -> None:
        try:
            wanted = next(dance)
            while True:
                wanted = dance.send(await self._ask(wanted))
        except StopIteration:
            return

    async def _ask(self, wanted: TokenRequest) -> TokenReply:
        headers = {"accept": "application/json"}
        if wanted.authorization is not None:
            headers["authorization"] = wanted.authorization
        if wanted.form is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        method = "GET" if wanted.form is None else "POST"
        request = Request(method, wanted.url, headers, wanted.form, secret=wanted.form is not None)
        answer = await self.transport.request(request, limit=MAX_REPLY)
        return TokenReply(answer.status, answer.body)
