"""Which logger the kernel gives TRACE records of legacy tables to, by family and namespace.

The sysctl net.netfilter.nf_log.N (net/netfilter/nf_log.c) names it; writing binds another one.
"""

from __future__ import annotations

from pathlib import Path

from tracetui.errors import Failure

FAMILIES = (2, 10)
"""AF_INET and AF_INET6, as the sysctl numbers them."""
NETLINK_LOGGER = "nfnetlink_log"

_SYSCTL = Path("/proc/sys/net/netfilter/nf_log")


def read(family: int) -> str | None:
    """The logger bound in this namespace (``NONE`` if none); None if the kernel doesn't tell."""
    try:
        return (_SYSCTL / str(family)).read_text().strip() or None
    except OSError:
        return None


def write(family: int, logger: str) -> None:
    """Bind ``logger``, or none with ``NONE``; raises Failure."""
    try:
        (_SYSCTL / str(family)).write_text(logger)
    except OSError as error:
        raise Failure(f"net.netfilter.nf_log.{family} = {logger}: {error.strerror}") from None
