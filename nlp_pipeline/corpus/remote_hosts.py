"""Which hosts a corpus on the web may lie on: none of the own network, none but the one named."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from urllib.request import getproxies, proxy_bypass

from nlp_pipeline.errors.stores import CredentialsInUrl, PrivateAddress, RedirectRefused

HOST_PROTOCOLS = (
    *("http", "https", "ftp", "ftps", "sftp", "ssh", "smb", "hdfs", "arrow_hdfs", "webhdfs"),
    *("webdav", "jupyter", "jlab"),
)
"""Stores of which the URL names a machine; that of a bucket is the environment's affair."""
_SECRETS = ("signature", "token", "key", "secret", "password", "credential", "sig")
_TIMEOUT_S = 60.0
_IPV4_WITHIN = (ip_network("64:ff9b::/96"), ip_network("::/96"))
"""Addresses that end in one of IPv4: those of NAT64, and those of an older way."""
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")


def refuse_secrets(url: str) -> None:
    """Looks whether a URL holds what would let others in.

    Raises:
        CredentialsInUrl: It has a password, or a signature in its query.
    """
    parts = urlsplit(url)
    names = [name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    is_signed = any(name.replace("_", "-").split("-")[-1].endswith(_SECRETS) for name in names)
    if "@" in parts.netloc or (parts.scheme in ("http", "https") and is_signed):
        raise CredentialsInUrl(parts.hostname or "")


def refuse_private(url: str) -> None:
    """Looks whether the host of a URL is one of this machine or its network.

    Raises:
        PrivateAddress: One of its addresses is.
        OSError: Its name is unknown.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in HOST_PROTOCOLS:
        return
    # An address needs nobody to resolve it: a proxy changes nothing of what it is.
    if _is_address(host) or not _is_proxied(parts.scheme, host):
        for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            _check_address(url, host, str(address[0]))


def guarded_client(url: str) -> Callable[..., Any]:
    """What makes the session of fsspec's web file system, which connects to no private address.

    The address is looked at where the connection is made: a name that means another machine by
    then than when it was checked leads nowhere.

    Args:
        url: Of the corpus, for messages.
    """

    async def client(**kwargs: Any) -> Any:
        import aiohttp

        class Resolver(aiohttp.ThreadedResolver):  # type: ignore[misc]
            async def resolve(self, host: str, *args: Any, **kwargs: Any) -> Any:
                answers = await super().resolve(host, *args, **kwargs)
                if host not in _proxy_hosts():
                    for answer in answers:
                        _check_address(url, host, answer["host"])
                return answers

        async def redirect(_: Any, __: Any, params: Any) -> None:
            target = params.response.headers.get("Location", "")
            joined = params.url.join(type(params.url)(target))
            if not _same_place(params.url, joined):
                params.response.close()
                raise RedirectRefused(url, f"{joined.scheme}://{joined.host}")

        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(redirect)
        connector = aiohttp.TCPConnector(resolver=Resolver())
        return _session(connector=connector, trace_configs=[trace], **kwargs)

    return client


async def open_client(**kwargs: Any) -> Any:
    """The same without a guard."""
    return _session(**kwargs)


def _session(**kwargs: Any) -> Any:
    import aiohttp

    # A file is long; what must not take long is that a byte of it comes.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_TIMEOUT_S, sock_read=_TIMEOUT_S)
    return aiohttp.ClientSession(timeout=timeout, trust_env=bool(_proxy_hosts()), **kwargs)


def _same_place(url: Any, target: Any) -> bool:
    """Whether a redirect stays on its host, and encrypted where it was."""
    is_downgrade = url.scheme == "https" and target.scheme != "https"
    return url.host == target.host and not is_downgrade


def _check_address(url: str, host: str, address: str) -> None:
    if not _is_public(ip_address(address.split("%")[0])):
        raise PrivateAddress(url, host, address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the open net, also of those that hold one of IPv4."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if any(address in network for network in _IPV4_WITHIN):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    is_local = address.is_multicast or (address.version == 6 and address in _LOCAL_NAT64)
    return address.is_global and not is_local


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _is_proxied(scheme: str, host: str) -> bool:
    """Whether a proxy that the environment names fetches from a host: who knows its address."""
    return scheme in getproxies() and not proxy_bypass(host)


def _proxy_hosts() -> set[str]:
    return {urlsplit(proxy).hostname or "" for proxy in getproxies().values()}
