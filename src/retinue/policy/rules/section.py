"""What one section of a rule comes to."""

from collections.abc import Sequence

from msgspec import Struct

from retinue.papers.facts import Fact
from retinue.policy.decision import Outcome, Reason
from retinue.policy.model import Rule


class Section(Struct, frozen=True):
    """`settled`: no paper that was not looked at could change it.

    An unmet section is settled when a paper that is there rules it out; a met one is not when one
    more paper could (select = "newest", select = "all", signed tags).
    """

    check: str
    met: bool
    settled: bool
    why: str
    papers: tuple[Reason, ...] = ()

    def outcome(self, *, blind: bool) -> Outcome:
        if blind and not self.settled:
            return Outcome.UNDECIDED
        return Outcome.PASSED if self.met else Outcome.FAILED


def line(rule: Rule, check: str, fact: Fact, outcome: Outcome, why: str) -> Reason:
    """The trace of one paper in one section."""
    return Reason(rule.name, check, outcome, why, fact.paper, rule.enforced)


def all_of(sections: Sequence[Section], why: str) -> Section:
    """Met when all are: one for each platform, say."""
    failing = [section for section in sections if not section.met]
    papers = tuple(reason for section in sections for reason in section.papers)
    if failing:
        settled = any(section.settled for section in failing)
        return Section(
            failing[0].check, met=False, settled=settled, why=failing[0].why, papers=papers
        )
    settled = all(section.settled for section in sections)
    return Section(sections[0].check, met=True, settled=settled, why=why, papers=papers)
