"""KEY=VALUE, as options take it."""

from collections.abc import Mapping, Sequence

from retinue.cli.problems import BadUsage


def annotations_of(given: Sequence[str]) -> Mapping[str, str]:
    """`KEY=VALUE` each; raises BadUsage."""
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise BadUsage(f"--annotation {text[:80]!r}", "write it as KEY=VALUE")
        found[key] = value
    return found
