"""What a client says whom it asks: the Host field (RFC 9110 7.2), or its like in a request's target."""

import re
from ipaddress import AddressValueError, IPv6Address

from retinue.errors import RetinueError

_NAME = re.compile(r"[A-Za-z0-9_~!$&'()*+,;=%.-]{1,255}")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([^\[\]:@/?#\s]{1,255}))(?::(\d{0,5}))?")


class MalformedHost(RetinueError):
    """A request says whom it asks twice, not at all, or in a form that is none."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the Host of this request cannot be read: {reason}")
        self.reason = reason


def host(authority: str) -> str:
    """The host of HOST[:PORT], lower case, an IPv6 address in its short form without brackets.

    Raises MalformedHost, also for a user (`user@host`).
    """
    found = _HOST.fullmatch(authority)
    if found is None or int(found[3] or 0) > 65535:
        raise MalformedHost(f"{authority[:100]!r} is not of the form HOST[:PORT]")
    if found[1] is not None:
        try:
            return str(IPv6Address(found[1]))
        except AddressValueError as problem:
            raise MalformedHost(f"{authority[:100]!r} is no address") from problem
    name = found[2].lower().removesuffix(".")
    if not _NAME.fullmatch(name):
        raise MalformedHost(f"{authority[:100]!r} is no name")
    return name
