"""Who really asks, when a proxy that we were told to trust says so."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from retinue.registry.http.exchange import Fields

MAX_HOPS = 16
"""Addresses of X-Forwarded-For that are looked at, from the end."""


class Proxies:
    """`networks` are those whose word is believed; everybody else's headers are ignored."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ip_network(network) for network in networks)

    def origin(self, peer: str, headers: Fields) -> str:
        """The client's address: the last hop that is no trusted proxy."""
        if not self.trusts(peer):
            return peer
        for hop in reversed(_items(headers.get_all("x-forwarded-for"))[-MAX_HOPS:]):
            if not _is_address(hop):
                break
            peer = hop
            if not self.trusts(hop):
                break
        return peer

    def trusts(self, address: str) -> bool:
        if not _is_address(address):
            return False
        found = ip_address(address)
        return any(found in network for network in self._networks)


def _items(lines: Iterable[str]) -> list[str]:
    """The items of a list header, over all its lines."""
    return [item.strip() for line in lines for item in line.split(",") if item.strip()]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False  # the question was whether it is one
    return True
