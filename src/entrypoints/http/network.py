"""The network that a request comes from."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from starlette.types import Scope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

IPV6_PREFIX = 64
UNKNOWN = "unknown"


class Networks:
    """Tells the network of the client: the peer, or behind trusted proxies the right-most hop that is not one of them."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = trusted

    def of(self, scope: Scope) -> str:
        """An IPv4 address or an IPv6 /64, as text."""
        client = scope.get("client")
        if client is None:
            return UNKNOWN
        if not self._trusted:
            return _network(client[0])
        hops = [hop for name, value in scope["headers"] if name == b"x-forwarded-for" for hop in value.decode("latin-1").split(",")]
        nearest = str(client[0])
        while hops and self._is_trusted(nearest):
            hop = hops.pop().strip()
            if _address(hop) is None:
                break
            nearest = hop
        return _network(nearest)

    def _is_trusted(self, address: str) -> bool:
        parsed = _address(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


@lru_cache(maxsize=10_000)
def _network(address: str) -> str:
    parsed = _address(address)
    if parsed is None:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
