"""Addresses that are of the machine itself or of its link, and what may reach them.

A gate calls hosts that authors of Pods name. What such a host resolves to is checked when it is
connected to, and that address is the one that is used: a name cannot change its mind in between.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from retinue.client.errors import LocalAddress
from retinue.oci.hosts import BadHost, canonical

_NETWORKS = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32"),
            *("::/128", "::1/128", "fe80::/10", "ff00::/8"),
            "fd00:ec2::/32",  # metadata of AWS
            "fd20:ce::254/128",  # of Google Cloud
            "100.100.100.200/32",  # of Alibaba Cloud
            "168.63.129.16/32",  # of Azure
            "192.0.0.192/32",  # of Oracle Cloud
        ),
    )
)
_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")


def is_local(address: str) -> bool:
    """Whether an address (text, maybe with a zone) is loopback, link-local, or gives metadata.

    IPv4 addresses inside of IPv6 ones (mapped, compatible, 6to4, NAT64) count as what they are.
    """
    found = ip_address(address.partition("%")[0])
    return any(each in network for each in (found, *_inner(found)) for network in _NETWORKS)


def _inner(address: IPv4Address | IPv6Address) -> Sequence[IPv4Address]:
    if isinstance(address, IPv4Address):
        return ()
    embedded = address in _NAT64 or address in _COMPATIBLE
    last = IPv4Address(int(address) & 0xFFFFFFFF) if embedded else None
    return [each for each in (address.ipv4_mapped, address.sixtofour, last) if each is not None]


def _dotted(host: str) -> str:
    """IPv4 addresses in the forms that resolvers take besides (127.1); anything else as it is."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host.removesuffix(".")))
    except OSError:
        return host


class Guard:
    """Keeps connections from local addresses, but for the registries in `named`.

    `named` are canonical `host[:port]`s; a gate replaces them when its policy is another.
    """

    def __init__(self, named: Iterable[str] = ()) -> None:
        self.named = frozenset(named)

    async def addresses(self, host: str, port: int, authority: str) -> Sequence[str]:
        """What to connect to for a host; raises LocalAddress if any of it is local, OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        if any(map(is_local, addresses)) and not self._is_named(authority):
            raise LocalAddress(authority)
        return addresses

    def refuse_literal(self, host: str, authority: str) -> None:
        """For what a proxy resolves: of names, it is the proxy's part. Raises LocalAddress."""
        try:
            local = is_local(_dotted(host))
        except ValueError:
            return  # a name
        if local and not self._is_named(authority):
            raise LocalAddress(authority)

    def _is_named(self, authority: str) -> bool:
        try:
            return canonical(authority) in self.named
        except BadHost:
            return False
