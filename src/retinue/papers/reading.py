"""Which payloads are read, in which order, and where it ends: the cheap ones first."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct

from retinue.oci.digest import Digest
from retinue.papers.collected import Paper
from retinue.papers.content import Content
from retinue.papers.finding import HOME, Place
from retinue.papers.limits import Limits
from retinue.papers.waiting import NotLooked
from retinue.papers.ways.part import READ, Form, Part


class Job(Struct, frozen=True, order=True):
    """A payload to read: at most `size` bytes of a blob."""

    size: int
    digest: Digest
    place: Place


class Reading(Struct, eq=False):
    """What was read so far. A limit cuts off the largest payloads, and never says "absent".

    Payloads of other `forms` are of no interest to whoever asks: they are not read, and not missed.
    """

    papers: Sequence[Paper]
    limits: Limits
    forms: Collection[Form] = READ
    contents: dict[Digest, Content] = {}
    _ahead: list[Job] = []
    _failed: dict[Digest, str] = {}
    _count: int = 0
    _bytes: int = 0

    def __post_init__(self) -> None:
        jobs: set[Job] = set()
        for paper, part in _parts(self.papers, self.forms):
            assert part.blob is not None
            if part.blob.data is not None:  # hashed when the manifest was read
                self.contents[part.blob.digest] = part.blob.data
            else:
                place = Place(paper.elsewhere) if paper.elsewhere else HOME
                jobs.add(Job(part.blob.size, part.blob.digest, place))
        self._ahead = sorted(jobs)

    def next(self) -> list[Job]:
        """As many as fit into what the limits leave; empty: finished."""
        chosen: list[Job] = []
        size = 0
        self._ahead = [job for job in self._ahead if job.digest not in self.contents]
        for job in self._ahead:
            why = self._over(job, len(chosen), size)
            if why is not None:
                break
            chosen.append(job)
            size += job.size
        if not chosen:
            for job in self._ahead:
                self._failed.setdefault(job.digest, self._over(job, 0, 0) or "a limit was hit")
        self._ahead = self._ahead[len(chosen) :] if chosen else []
        return chosen

    def learn(self, answers: Mapping[Job, Content | NotLooked]) -> None:
        for job, answer in answers.items():
            self._count += 1
            if isinstance(answer, NotLooked):
                self._bytes += job.size
                self._failed[job.digest] = answer.why
            else:
                self._bytes += len(answer)
                self.contents[job.digest] = answer

    def blind(self) -> Mapping[str, str]:
        """Papers with a payload that could not be read, and why."""
        return {
            f"paper {paper.digest}": self._failed[part.blob.digest]
            for paper, part in _parts(self.papers, self.forms)
            if part.blob is not None and part.blob.digest not in self.contents
        }

    def _over(self, job: Job, count: int, size: int) -> str | None:
        """Which limit another payload would exceed."""
        limits = self.limits
        if job.size > limits.statement:
            return f"it is larger than {limits.statement} bytes (limits.statement)"
        if self._count + count >= limits.papers:
            return f"there are more than {limits.papers} papers (limits.papers)"
        if self._bytes + size + job.size > limits.total:
            return f"all papers are larger than {limits.total} bytes (limits.total)"
        return None


def _parts(papers: Sequence[Paper], forms: Collection[Form]) -> Iterator[tuple[Paper, Part]]:
    """What has to be read."""
    for paper in papers:
        for part in paper.parts:
            if part.form in READ and part.form in forms and part.blob is not None:
                yield paper, part
