"""Loggers to which the kernel gives TRACE records of legacy tables, by family and namespace.

The sysctl net.netfilter.nf_log.N (net/netfilter/nf_log.c) names it; writing binds another one.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Optional

from tracetui.errors import Failure
from tracetui.kernel import writing

SYSCTL_FAMILIES = (2, 10)
"""AF_INET and AF_INET6, as the sysctl numbers them."""
NETLINK_LOGGER = "nfnetlink_log"
"""The logger that hands records to whoever holds its group 0, and drops them where nobody does."""
NO_LOGGER = "NONE"

_SYSCTL = Path("/proc/sys/net/netfilter/nf_log")
_ALL_NETNS = Path("/proc/sys/net/netfilter/nf_log_all_netns")
_PROC_NETFILTER = Path("/proc/thread-self/net/netfilter")
"""This thread's namespace: /proc/net is that of the process's first thread (proc(5))."""
_LOGGERS = re.compile(r"^\s*([0-9]{1,3}) \S+ \(([^()\n]*)\)$", re.MULTILINE)
_HOLDER = re.compile(r"^\s*([0-9]{1,5})\s+([0-9]{1,10})\s", re.MULTILINE)


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
        why = error.strerror
        if error.errno == errno.ENOENT and (_SYSCTL / str(family)).exists():
            why = "this kernel has no such logger; `modprobe nf_log_syslog` loads its own"
        raise Failure(f"net.netfilter.nf_log.{family} = {logger}: {why}") from None


def why_not_writable() -> str:
    """Tell why no logger can be bound here; empty where one can. Nothing is changed."""
    known = [path for family in SYSCTL_FAMILIES if (path := _SYSCTL / str(family)).exists()]
    if not known:
        return "this kernel has no net.netfilter.nf_log"
    return next((why for path in known if (why := writing.why_not(path))), "")


def has_every_namespace() -> Optional[bool]:
    """Whether the kernel log has all namespaces' hops; None where that can't be seen.

    The setting is there in the initial namespace only (nf_log.c, netfilter_log_sysctl_init).
    """
    try:
        return _ALL_NETNS.read_text().strip() != "0"
    except OSError:
        return None


def own_logger(family: int) -> str:
    """The logger of the kernel's own that there is for a family, ``NONE`` for none.

    It is nf_log_syslog's, and the kernel binds it in each new namespace (net/netfilter/
    nf_log_syslog.c, nf_log_syslog_net_init). A family has room for it and for nfnetlink_log only
    (nf_log.c, ``loggers``).
    """
    try:
        text = (_PROC_NETFILTER / "nf_log").read_text()
    except OSError:
        return NO_LOGGER
    names = {int(found[0]): found[1].split(",") for found in _LOGGERS.findall(text)}
    own = [one for one in names.get(family, ()) if one and one != NETLINK_LOGGER]
    return own[0] if own else NO_LOGGER


def holders() -> dict[int, int] | None:
    """The groups of nfnetlink_log that are held in this namespace, each with its netlink port.

    None if the kernel doesn't tell (net/netfilter/nfnetlink_log.c, seq_show); without that module
    there are none.
    """
    try:
        text = (_PROC_NETFILTER / "nfnetlink_log").read_text()
    except FileNotFoundError:
        return {} if _PROC_NETFILTER.exists() else None
    except OSError:
        return None
    return {int(group): int(port) for group, port in _HOLDER.findall(text)}
