"""Who counts as one signer: all names that share a key (trust.md 15)."""

from collections.abc import Iterable, Mapping

from retinue.papers.facts import Fact


def signers_of(facts: Iterable[Fact]) -> Mapping[str, str]:
    """Each principal, and each key, to one of the names of the signer that it belongs to.

    What a principal is called may come with the signature (a certificate names its subject), and
    anybody can attach a signature again with another certificate for the same key. So names that
    one key was found under are one signer, and keys that one name was found with are, too: however
    a signature is wrapped, it makes no signer more.
    """
    found: dict[str, str] = {}
    for fact in facts:
        names = [name for name in (fact.principal, fact.key) if name]
        firsts = {_first(found, name) for name in names}
        found |= dict.fromkeys(firsts, min(firsts, default=""))
    return {name: _first(found, name) for name in list(found)}


def _first(found: dict[str, str], name: str) -> str:
    """The name that stands for this one; what is on the way is shortened."""
    above = found.setdefault(name, name)
    while above != found[above]:
        found[name] = found[above]
        name, above = above, found[above]
    return above
