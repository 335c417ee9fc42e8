"""How long a server keeps things is written in its data, and no command keeps them for less (rule 24).

Whoever does the upkeep of a server writes down its terms. A command beside it, with options of its
own, may keep things longer.
"""

from msgspec import Struct, json

from retinue.registry.catalog import meta
from retinue.registry.catalog.db import Catalog, Change
from retinue.registry.gc.execute import Settings
from retinue.registry.gc.plan import Terms

KEY = "terms"


class Promise(Struct, frozen=True):
    """What is kept for how long, in microseconds. `untagged` None: for ever."""

    grace: int
    paper_grace: int
    untagged: int | None
    trash_delay: int


def _promise(settings: Settings) -> Promise:
    terms = settings.terms
    return Promise(terms.grace, terms.paper_grace, terms.untagged, settings.trash_delay)


def promise(settings: Settings) -> Change[bool]:
    """From now on these are the server's terms; False when they were before."""
    text = json.encode(_promise(settings)).decode()
    if (yield meta.READ, (KEY,)) == [(text,)]:
        return False
    yield meta.WRITE, (KEY, text)
    return True


async def agreed(catalog: Catalog, asked: Settings) -> Settings:
    """What is asked, or the server's terms where those keep things longer."""
    found = await catalog.one(meta.READ, KEY)
    if found is None:
        return asked
    return longer(asked, json.decode(str(found[0]), type=Promise))


def longer(asked: Settings, promised: Promise) -> Settings:
    terms = Terms(
        grace=max(asked.terms.grace, promised.grace),
        paper_grace=max(asked.terms.paper_grace, promised.paper_grace),
        untagged=_longer(asked.terms.untagged, promised.untagged),
    )
    return Settings(terms, max(asked.trash_delay, promised.trash_delay), asked.now)


def _longer(asked: int | None, promised: int | None) -> int | None:
    return None if asked is None or promised is None else max(asked, promised)
