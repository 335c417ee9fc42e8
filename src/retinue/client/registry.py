"""What concerns a whole registry rather than one repository."""

import json
from collections.abc import AsyncGenerator

from retinue.client.errors import ProtocolViolation
from retinue.client.search import next_page
from retinue.client.session import Session
from retinue.client.transport import Answer
from retinue.wire import paths

MAX_PAGES = 10_000
PER_PAGE = 1000
MAX_BODY = 16 * 1024 * 1024


async def ping(session: Session) -> None:
    """Whether the registry is one, and takes our credentials (end-1); raises ClientError."""
    answer = await session.request("GET", paths.BASE)
    if answer.status != 200:
        raise session.refusal(answer, "the API's base")


async def repositories(session: Session) -> AsyncGenerator[str, None]:
    """All names that the registry tells us; raises Refused where it tells none."""
    target: str | None = paths.catalog(n=PER_PAGE)
    for _ in range(MAX_PAGES):
        if target is None:
            return
        answer = await session.request("GET", target, limit=MAX_BODY)
        if answer.status != 200:
            raise session.refusal(answer, "the list of repositories")
        for name in _names(session.host, answer):
            yield name
        target = next_page(session, answer)
    raise ProtocolViolation(session.host, f"more than {MAX_PAGES} pages of repositories")


def _names(host: str, answer: Answer) -> list[str]:
    try:
        found = json.loads(answer.body)["repositories"] or []
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise ProtocolViolation(host, "an unreadable list of repositories") from problem
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ProtocolViolation(host, "a list of repositories that are no text")
    return found
