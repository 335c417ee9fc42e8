"""Policies in languages that are not judged here."""

from pathlib import PurePath

from retinue.policy.errors import ImportRefused

REASON = (
    "policies in CUE or Rego are programs, which are not run here; say what they ask for by hand, "
    "with `where`, `schema` or `cel`"
)
LANGUAGES = frozenset({".cue", ".rego"})


def refuse(name: str) -> None:
    """Raises ImportRefused if a file's name says that it is in one of them."""
    if PurePath(name).suffix.lower() in LANGUAGES:
        raise ImportRefused(name, REASON)
