"""Every URL that this registry says of itself: in headers, and inside of bodies.

They are paths, unless it is configured under which URL clients reach it. That one may have a path
of its own, which a proxy takes away before requests get here: a path alone would then lead past it.
"""

from retinue.registry.http.exchange import Pairs


def absolute(base: str, target: str) -> str:
    """`target` is a path of ours, or something that is elsewhere; `base` may be empty."""
    return f"{base}{target}" if target.startswith("/") else target


def located(headers: Pairs, base: str) -> Pairs:
    """The same headers, where Location and Link lead to `base`."""
    return headers if not base else [(name, _value(name, text, base)) for name, text in headers]


def _value(name: str, text: str, base: str) -> str:
    if name == "location":
        return absolute(base, text)
    if name == "link" and text.startswith("<"):
        return f"<{absolute(base, text[1:])}"
    return text
