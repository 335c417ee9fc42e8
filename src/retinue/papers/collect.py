"""Finding every paper of an image, by every way, and reading what is in it.

The steps are decided in `finding.py` and `reading.py`; here is what awaits.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from retinue.oci.digest import Digest
from retinue.oci.manifest import Manifest
from retinue.oci.stores import Search, Source
from retinue.papers.collected import Collected, Paper
from retinue.papers.content import Content, receive
from retinue.papers.finding import HOME, Finding, Found, Place
from retinue.papers.limits import Limits
from retinue.papers.reading import Job, Reading
from retinue.papers.waiting import NotLooked, ask_all, in_seconds
from retinue.papers.ways.part import READ, Form

AT_ONCE = 16
"""Payloads under way at once; a store has bounds of its own for its connections."""
IN_A_BATCH = 100
"""Manifests asked for at once."""


async def collect(
    source: Source,
    subject: Manifest,
    *,
    parents: Sequence[Manifest] = (),
    children: bool = False,
    elsewhere: Mapping[str, Source] | None = None,
    limits: Limits | None = None,
    depth: int = 2,
    receipts: bool = False,
    forms: Collection[Form] = READ,
) -> Collected:
    """All papers of a manifest, of `parents` (indexes that list it), and with `children` of what it
    lists itself.

    `elsewhere` are other repositories that may hold papers, by name. Papers that are not signed are
    asked for papers of their own, `depth` levels in all (a signed SBOM); signed ones only with
    `receipts`. Only payloads of `forms` are read. Nothing is raised for what could not be looked at: it is named in `blind`.
    """
    limits = limits or Limits()
    until = in_seconds(limits.seconds)
    stores = {HOME: source, **{Place(name): store for name, store in (elsewhere or {}).items()}}
    finding = Finding((subject, *parents), limits, depth=depth, receipts=receipts)
    if children:
        await _add_children(source, finding, until)
    while subjects := finding.frontier():
        finding.learn(subjects, await _search(stores, subjects, until))
        await _manifests(stores, finding, until)
    papers = finding.papers()
    reading = Reading(papers, limits, forms)
    await _contents(stores, reading, until)
    blind = {**finding.blind, **reading.blind()}
    return Collected(finding.subjects, papers, reading.contents, blind)


async def _add_children(source: Source, finding: Finding, until: float) -> None:
    """Level by level; `finding` bounds how many levels there are."""
    while wanted := finding.children():
        finding.learn_children(await _ask_manifests(source, wanted, until))


async def _search(
    stores: Mapping[Place, Source], subjects: Collection[Digest], until: float
) -> Mapping[Place, Mapping[Digest, Search] | NotLooked]:
    questions = {place: partial(store.papers, subjects) for place, store in stores.items()}
    return await ask_all(questions, at_once=len(questions), until=until)


async def _manifests(stores: Mapping[Place, Source], finding: Finding, until: float) -> None:
    """A batch at a time, until all are read or `finding` says that it is enough."""
    while batch := finding.unread(IN_A_BATCH):
        for place, wanted in batch.items():
            finding.learn_manifests(await _ask_manifests(stores[place], wanted, until))


async def _ask_manifests(
    source: Source, wanted: Collection[Digest], until: float
) -> Mapping[Digest, Found]:
    """Together; where that fails, one by one, so that a broken one does not hide the others."""
    whole = await ask_all({"all": partial(source.manifests, wanted)}, at_once=1, until=until)
    found = whole["all"]
    if not isinstance(found, NotLooked):
        return found
    singly = {digest: partial(source.manifests, [digest]) for digest in wanted}
    answers = await ask_all(singly, at_once=AT_ONCE, until=until)
    return {d: a if isinstance(a, NotLooked) else a[d] for d, a in answers.items()}


async def read_payloads(
    source: Source, papers: Sequence[Paper], limits: Limits | None = None
) -> Reading:
    """What is in these papers of one repository."""
    reading = Reading(papers, limits or Limits())
    await _contents({HOME: source}, reading, in_seconds(reading.limits.seconds))
    return reading


async def _contents(stores: Mapping[Place, Source], reading: Reading, until: float) -> None:
    while jobs := reading.next():
        questions = {job: partial(_read, stores[job.place], job) for job in jobs}
        reading.learn(await ask_all(questions, at_once=AT_ONCE, until=until))


async def _read(source: Source, job: Job) -> Content:
    async with source.blob(job.digest) as chunks:
        return await receive(job.digest, job.size, chunks)
