"""Signed messages between companies' machines, and where they may go."""

import hashlib
import hmac
import ipaddress
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from tools.errors import InvalidInput

TIMESTAMP_HEADER = "X-Quartermaster-Timestamp"
SIGNATURE_HEADER = "X-Quartermaster-Signature"
SCHEME = "v1"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NOT_PUBLIC = (  # which some versions of Python call global
    ipaddress.ip_network("192.0.0.0/24"),  # RFC 6890: protocol assignments
    ipaddress.ip_network("fec0::/10"),  # RFC 3879: site-local, given up
)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def signature(secret: bytes, *, timestamp: int, body: bytes) -> str:
    """Return the signature of a message: HMAC-SHA256 over ``timestamp.body``.

    Args:
        secret: Shared with the other side.
        timestamp: Seconds since 1970, UTC.
        body: The message, byte by byte.

    >>> signature(b"secret", timestamp=1, body=b"{}")[:16]
    'v1=1122767b19311'
    """
    signed = str(timestamp).encode() + b"." + body
    return f"{SCHEME}={hmac.new(secret, signed, hashlib.sha256).hexdigest()}"


def headers(secret: bytes, *, at: datetime, body: bytes) -> dict[str, str]:
    """Return the two headers that a signed message carries."""
    timestamp = int(at.timestamp())
    return {
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: signature(secret, timestamp=timestamp, body=body),
    }


def target(url: str, *, open_to: Collection[str] = ()) -> tuple[str, str, int]:
    """Return scheme, host and port of an address to which orders may be posted.

    Args:
        url: The whole address.
        open_to: Hosts inside the house, that need neither TLS nor a public address.

    Raises:
        InvalidInput: It is no such address; the message says why.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or ""), parts.port
    except ValueError:
        raise InvalidInput(f"{url!r} is not a web address") from None
    if not host or not url.isascii() or any(sign.isspace() or ord(sign) < 32 for sign in url):
        raise InvalidInput(f"{url!r} is not a web address")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidInput(f"the address of {host!r} must hold no password and no fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in open_to):
        raise InvalidInput(
            f"orders go to an https address, got {url!r}",
            next_step="A host inside the house may be named in QM_WEBHOOK_ALLOWED_HOSTS.",
        )
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)


def pinned(host: str, addresses: Sequence[str], *, open_to: Collection[str] = ()) -> str:
    """Return the one address to connect to, after every address of the host was looked at.

    Args:
        host: The name, to decide and to say whose addresses these are.
        addresses: What the name resolves to.
        open_to: Hosts and addresses inside the house that may be called.

    Raises:
        InvalidInput: One of them is not a public address: private, loopback, link-local and so on.

    >>> pinned("shop.example", ["93.184.216.34"])
    '93.184.216.34'
    """
    if not addresses:
        raise InvalidInput(f"{host!r} has no address")
    if host not in open_to:
        for address in addresses:
            if address not in open_to and not is_public(address):
                raise InvalidInput(
                    f"{host!r} leads to {address}, which is not a public address",
                    next_step="If that is meant, name the host in QM_WEBHOOK_ALLOWED_HOSTS.",
                )
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also when wrapped in another.

    >>> is_public("93.184.216.34"), is_public("10.0.0.1"), is_public("::ffff:127.0.0.1")
    (True, False, False)
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(_is_global(one) for one in (ip, *_inside(ip)))


def _inside(ip: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address carries."""
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    found: list[Address] = [one for one in (ip.ipv4_mapped, ip.sixtofour) if one is not None]
    if ip.teredo is not None:
        found += list(ip.teredo)
    if ip in _NAT64:
        found.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return found


def _is_global(ip: Address) -> bool:
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip in _NAT64):
        return True  # what it carries decides
    if any(ip in network for network in _NOT_PUBLIC if network.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def retry_after_s(response: Mapping[str, str], *, now: datetime) -> int | None:
    """Return what a Retry-After header asks for, seconds; None without a usable one.

    >>> retry_after_s({"retry-after": "7"}, now=datetime(2026, 3, 2, tzinfo=UTC))
    7
    """
    text = response.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return int(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0, int((until - now).total_seconds()))
