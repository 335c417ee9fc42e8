"""Which papers go with a manifest that is deleted."""

from collections.abc import Iterable

import pytest

from retinue.oci import digest as digests
from retinue.oci.digest import Digest
from retinue.registry.content.delete import Family


def d(name: str) -> Digest:
    return digests.of(name.encode())


def grouped(pairs: Iterable[str]) -> dict[Digest, frozenset[Digest]]:
    found: dict[Digest, set[Digest]] = {}
    for pair in pairs:
        found.setdefault(d(pair[0]), set()).add(d(pair[1]))
    return {key: frozenset(values) for key, values in found.items()}


@pytest.mark.parametrize(
    ("papers", "parents", "pinned", "going"),
    [
        ([], [], "", "A"),
        (["Ap", "pq"], [], "", "Apq"),
        (["Ap", "pq"], [], "p", "A"),
        (["Ap", "pq"], [], "q", "Ap"),
        (["Ap", "Bp"], [], "", "A"),
        (["Ap", "pq", "Aq"], [], "p", "A"),
        (["Ap", "AI"], ["pI"], "", "ApI"),
        (["Ap"], ["pX"], "", "A"),
        (["Ap", "pq", "qp"], [], "", "Apq"),
        (["Ap", "pq"], ["pq"], "", "Apq"),
        (["AI"], ["AI"], "", "AI"),
        (["Ap"], [], "A", "Ap"),
    ],
)
def test_what_nothing_else_keeps_goes(
    papers: list[str], parents: list[str], pinned: str, going: str
) -> None:
    """`papers`: subject and paper; `parents`: part and whole."""
    family = Family(
        d("A"),
        frozenset(map(d, pinned)),
        grouped(parents),
        grouped(pair[::-1] for pair in papers),
        grouped(papers),
    )
    assert family.doomed() == set(map(d, going))
