"""Legacy tables as the kernel holds them, read through its socket options; nothing is changed.

What iptables prints can't tell a rule from a chain whose name looks like one: the kernel takes any
byte in a name. Layouts are those of include/uapi/linux/netfilter/x_tables.h and
netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple, Optional

from tracetui.errors import Failure, NotPermitted
from tracetui.kernel import xt_time
from tracetui.model.trace.trace_point import HOOKS
from tracetui.model.tracing.digest import digest
from tracetui.model.tracing.installed_rule import TAG, InstalledRule

READING_TRIES = 5
"""Readings of a table that was replaced between two questions, at most."""
MOST_COUNTED = 100_000
"""Entries of a table up to which its chains are counted: they are gone through one by one."""
LARGEST_TABLE = 1 << 30
"""Bytes of a table that is read; some three million rules."""
_GET_INFO, _GET_ENTRIES = 64, 65
"""IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES, the same numbers for IPv6."""
_TABLE_NAMES = {
    # /proc/net is that of the process, and a thread can be in another namespace.
    4: "/proc/thread-self/net/ip_tables_names",
    6: "/proc/thread-self/net/ip6_tables_names",
}
_TABLE_INFO = struct.Struct("=32sI5I5III")
_TABLE_REQUEST = struct.Struct("=32sI")
_COUNTERS_AT = {4: 96, 6: 152}
"""Offsets of packets and bytes in an entry; what is before them but two offsets is its match."""
_OFFSETS_AT = {4: 88, 6: 140}
_OFFSETS = struct.Struct("=HH")
_COUNTER_PAIR = struct.Struct("=QQ")
_ENTRY_SIZE = {4: 112, 6: 168}
_XT_HEAD = struct.Struct("=H29sB")
"""The head of a match or a target: its size, name and revision."""
_XT_SIZE = 32
_ERROR_NAME = 30
"""Bytes of a chain's name in the entry before its first rule (XT_FUNCTION_MAXNAMELEN)."""
KUBELET_CHAINS = (b"KUBE-IPTABLES-HINT\0", b"KUBE-KUBELET-CANARY\0")
"""Chains that kubelet puts into the mangle table of the backend it uses."""


class TableSize(NamedTuple):
    """The size of a table."""

    entries: int
    """Rules, and the ends and beginnings of chains."""
    bytes: int


class _Info(NamedTuple):
    size: TableSize
    base_chains: dict[int, str]
    """The offset of the first entry of each base chain, and its name."""


class LegacyTables:
    """The tables of IPv4 and IPv6 in the namespace it is made in; safe from several threads."""

    def __init__(self) -> None:
        """Raises Failure where no socket is to be had."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._sockets: dict[int, socket.socket] = {}
        # Open as long as this is: it is asked when no descriptor is left too.
        self._names = {family: _opened(path) for family, path in _TABLE_NAMES.items()}
        for family, kind in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            try:
                self._sockets[family] = socket.socket(kind, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            except OSError as error:
                if error.errno != errno.EAFNOSUPPORT:
                    self.close()
                    raise Failure(f"no socket for legacy tables: {error.strerror}") from None

    def registered(self, family: int) -> tuple[str, ...]:
        """The tables of this namespace that packets cross; raises Failure."""
        fd = self._names[family]
        return () if fd is None else _read_names(fd)

    def size(self, family: int, table: str) -> TableSize:
        """Ask for the size of a table, nothing if it is not registered; raises Failure."""
        if table not in self.registered(family):
            return TableSize(0, 0)
        return self._info(family, table).size

    def rules(self, family: int, table: str) -> int:
        """Count the rules of a table; of very many, with two for each user chain. Raises Failure.

        Each base chain has an entry for its policy, each user chain one before its first rule and
        one behind its last, and the table one at its end (libiptc, iptcc_compile_table).
        """
        if table not in self.registered(family):
            return 0
        info = self._info(family, table)
        rules = info.size.entries - len(info.base_chains) - 1
        if info.size.entries > MOST_COUNTED:
            return rules
        info, entries = self._entries(family, table)
        names = [name for _, name, _ in _targets(family, entries, len(entries)) if name]
        return info.size.entries - len(info.base_chains) - 1 - 2 * (len(names) - 1)

    def is_of_kubelet(self, family: int) -> bool:
        """Whether kubelet's marker chain is in the mangle table; raises Failure."""
        if "mangle" not in self.registered(family):
            return False
        _, entries = self._entries(family, "mangle")
        return any(name in entries for name in KUBELET_CHAINS)

    def trace_rules(self, family: int) -> list[InstalledRule]:
        """List every TRACE rule of the raw table, without its words; raises Failure.

        A table that is not registered is not asked for: asking would register it.
        """
        if "raw" not in self.registered(family):
            return []
        info, entries = self._entries(family, "raw")
        if b"TRACE\0" not in entries:
            return []
        return list(_trace_rules(family, info.base_chains, entries))

    def chain_names(self, family: int) -> list[str]:
        """The user chains of the raw table; raises Failure."""
        if "raw" not in self.registered(family):
            return []
        _, entries = self._entries(family, "raw")
        names = (name for _, name, _ in _targets(family, entries, len(entries)) if name)
        return [name for name in names if name != "ERROR"]

    def close(self) -> None:
        """Give the sockets back."""
        for one in self._sockets.values():
            one.close()
        for fd in self._names.values():
            if fd is not None:
                os.close(fd)

    def _entries(self, family: int, table: str) -> tuple[_Info, bytes]:
        """A table as the kernel has it, all of one moment."""
        for _ in range(READING_TRIES):
            info = self._info(family, table)
            # The entries are aligned as 64-bit numbers are (struct ipt_get_entries).
            step = ctypes.alignment(ctypes.c_uint64)
            start = (_TABLE_REQUEST.size + step - 1) // step * step
            wanted = _TABLE_REQUEST.pack(table.encode(), info.size.bytes)
            try:
                answer = self._ask(family, _GET_ENTRIES, wanted, start + info.size.bytes)
                return info, ctypes.string_at(ctypes.addressof(answer) + start, info.size.bytes)
            except OSError as error:
                # It was replaced since its size was told (get_entries(), ip_tables.c).
                if error.errno != errno.EAGAIN:
                    raise _failure(family, table, error) from None
        raise Failure(f"the legacy {table} table of IPv{family} changes all the time")

    def _info(self, family: int, table: str) -> _Info:
        try:
            data = self._ask(family, _GET_INFO, table.encode().ljust(32, b"\0"), _TABLE_INFO.size)
        except OSError as error:
            raise _failure(family, table, error) from None
        _, hooks, *numbers = _TABLE_INFO.unpack(data.raw)
        starts, entries, size = numbers[:5], numbers[10], numbers[11]
        if size > LARGEST_TABLE:
            raise Failure(f"the legacy {table} table of IPv{family} has {size >> 20:,} MB")
        named = {start: HOOKS[at] for at, start in enumerate(starts) if hooks >> at & 1}
        return _Info(TableSize(entries, size), named)

    def _ask(
        self, family: int, option: int, question: bytes, size: int
    ) -> ctypes.Array[ctypes.c_char]:
        """Read a socket option of ``size`` bytes, which begin with the question; raises OSError.

        Python's own getsockopt stops at 1,024 bytes.
        """
        if family not in self._sockets:
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        try:
            buffer = ctypes.create_string_buffer(question, size)
        except MemoryError:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from None
        length = ctypes.c_uint32(size)
        level = socket.IPPROTO_IP if family == 4 else socket.IPPROTO_IPV6
        done = self._libc.getsockopt(
            self._sockets[family].fileno(), level, option, buffer, ctypes.byref(length)
        )
        if done != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return buffer


def names_file(family: int) -> str:
    """The file that names the registered tables, as a user finds it."""
    return _TABLE_NAMES[family].replace("thread-self/", "")


def registered_tables(family: int) -> tuple[str, ...]:
    """The legacy tables of this thread's namespace: those that packets cross, and that print hops.

    Raises Failure where that can't be looked at.
    """
    fd = _opened(_TABLE_NAMES[family])
    if fd is None:
        return ()
    try:
        return _read_names(fd)
    finally:
        os.close(fd)


def _opened(path: str) -> Optional[int]:
    """A list of tables; None where the kernel has no legacy tables. Raises Failure."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(f"legacy tables can't be looked at: {path}: {error.strerror}") from None


def _read_names(fd: int) -> tuple[str, ...]:
    try:
        return tuple(os.pread(fd, 4096, 0).decode(errors="replace").split())
    except OSError as error:
        raise Failure(f"legacy tables can't be looked at: {error.strerror}") from None


def _failure(family: int, table: str, error: OSError) -> Failure:
    if error.errno == errno.EPERM:
        return NotPermitted("legacy tables can be read by root only")
    return Failure(f"the legacy {table} table of IPv{family} can't be read: {error.strerror}")


def _trace_rules(
    family: int, base_chains: dict[int, str], entries: bytes
) -> Iterator[InstalledRule]:
    chain, position = "", 0
    # Behind the last one there is nothing to find; ours stands at the top.
    for at, chain_name, target in _targets(family, entries, entries.rfind(b"TRACE\0")):
        position += 1
        if at in base_chains:
            chain, position = base_chains[at], 1
        if chain_name:
            # It stands before the first rule of the chain.
            chain, position = chain_name, 0
        elif entries.startswith(b"TRACE\0", target + 2):
            yield _rule(family, chain, position, entries, at)


def _targets(family: int, entries: bytes, end: int) -> Iterator[tuple[int, str, int]]:
    """Yield each entry's offset, the chain that begins there (or ""), and its target's offset.

    Raises Failure where entries are not what was expected.
    """
    at, offsets_at, least = 0, _OFFSETS_AT[family], _ENTRY_SIZE[family]
    while at <= end and at + least <= len(entries):
        target_at, next_at = _OFFSETS.unpack_from(entries, at + offsets_at)
        if not least <= target_at <= next_at - _XT_SIZE or at + next_at > len(entries):
            raise Failure("legacy tables have a layout that this program does not know")
        target = at + target_at
        name = ""
        if entries.startswith(b"ERROR\0", target + 2):
            chain = entries[target + _XT_SIZE : target + _XT_SIZE + _ERROR_NAME]
            name = chain.partition(b"\0")[0].decode(errors="surrogateescape")
        yield at, name, target
        at += next_at


def _rule(family: int, chain: str, position: int, entries: bytes, at: int) -> InstalledRule:
    target_at, next_at = _OFFSETS.unpack_from(entries, at + _OFFSETS_AT[family])
    entry = entries[at : at + next_at]
    packets, size = _COUNTER_PAIR.unpack_from(entry, _COUNTERS_AT[family])
    matches = dict(_matches(entry, _ENTRY_SIZE[family], target_at))
    comment = matches.get(b"comment", b"").partition(b"\0")[0].decode(errors="surrogateescape")
    return InstalledRule(
        backend="legacy",
        family=family,
        chain=chain,
        words=(),
        packets=packets,
        bytes=size,
        comment=comment if comment.startswith(TAG) else None,
        expires=xt_time.end_of(matches.get(b"time", b"")),
        position=position,
        key=digest(_lasting(family, entry).hex()),
    )


def _lasting(family: int, entry: bytes) -> bytes:
    """An entry without what changes as packets pass, or as rules before it come and go."""
    return entry[: _OFFSETS_AT[family]] + entry[_ENTRY_SIZE[family] :]


def _matches(entry: bytes, at: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of each match."""
    while at + _XT_SIZE <= end:
        size, name, _ = _XT_HEAD.unpack_from(entry, at)
        if size < _XT_SIZE or at + size > end:
            raise Failure("legacy tables have a layout that this program does not know")
        yield name.partition(b"\0")[0], entry[at + _XT_SIZE : at + size]
        at += size
