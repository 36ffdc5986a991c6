"""The iptables commands: found, run with a time limit, their text handed back unread."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from tracetui.errors import Failure
from tracetui.kernel import command_line
from tracetui.model.rule import LOCK_SECONDS
from tracetui.model.rule_fields import BACKENDS

CALL_SECONDS = 15.0
"""After this a call is stopped; more than the lock's wait and a slow listing together."""
LOCKED = 4
"""The commands' exit status when the lock was not to be had (RESOURCE_PROBLEM, xtables.h)."""

_FAMILY_NAMES = {4: "iptables", 6: "ip6tables"}
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_NFT_WORD = re.compile(r"-?[A-Za-z_][A-Za-z0-9_./-]*\Z")
_TABLES = frozenset(("raw", "mangle", "nat", "filter", "security"))
_TABLE_NAMES = {
    # /proc/net is that of the process, and a thread can be in another namespace.
    4: "/proc/thread-self/net/ip_tables_names",
    6: "/proc/thread-self/net/ip6_tables_names",
}


class Command(NamedTuple):
    """The pair of programs that serves one backend and family."""

    backend: str
    family: int
    name: str
    """``iptables-nft`` and its like, as it is typed."""
    path: str
    save_path: str
    restore_path: Optional[str]
    """None where the package lacks it; rules can't be replaced there."""


class Xtables:
    """The node's iptables commands, by backend and family (4 or 6)."""

    def __init__(self) -> None:
        self.commands = {
            (backend, family): command
            for backend in BACKENDS
            for family in _FAMILY_NAMES
            if (command := _find(backend, family)) is not None
        }
        self.locks_taken = 0
        """How often a command of ours was let take the xtables lock; counted before it runs."""
        self._counting = threading.Lock()

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends that have at least their IPv4 command."""
        return tuple(backend for backend in BACKENDS if (backend, 4) in self.commands)

    def insert(self, backend: str, family: int, chain: str, specification: Sequence[str]) -> None:
        """Insert a rule at position 1 of a raw chain; raises CommandFailed."""
        self._raw(backend, family, ["-I", chain, "1", *specification])

    def delete(self, backend: str, family: int, chain: str, specification: Sequence[str]) -> None:
        """Delete the one rule of a raw chain that has exactly this specification."""
        self._raw(backend, family, ["-D", chain, *specification])

    def replace(
        self, backend: str, family: int, chain: str, old: Sequence[str], new: Sequence[str]
    ) -> None:
        """Put a rule first in a raw chain and delete another one, both in one commit.

        The kernel takes a commit as a whole (iptables-restore(8)): every packet meets exactly one
        of the two. If the old rule is not there nothing happens. Raises CommandFailed.
        """
        command = self._command(backend, family)
        if command.restore_path is None:
            raise Failure(f"there is no {command.name}-restore here; install the iptables package")
        lines = ["*raw", _line("-I", chain, "1", *new), _line("-D", chain, *old), "COMMIT", ""]
        argv = [command.restore_path, "--noflush", "-w", str(LOCK_SECONDS)]
        self._count_lock(command)
        run(argv, "\n".join(lines))

    def list_raw(self, backend: str, family: int) -> str:
        """The raw table with counters; empty if there is none. Raises Failure.

        As ``iptables-save -c`` prints it on legacy, where a table is only looked at if it is
        registered: listing would register it. On nft as ``iptables -v -S`` does, for there
        iptables-nft-save reads every table first, whichever it is asked for. Bytes that are no
        UTF-8 are kept: a rule is deleted by the very words that were listed.
        """
        command = self.commands.get((backend, family))
        if command is None:
            return ""
        if backend == "nft":
            return run([command.path, "-t", "raw", "-v", "-S"], errors="surrogateescape")
        if "raw" not in legacy_tables(family):
            return ""
        return run([command.save_path, "-c", "-t", "raw"], errors="surrogateescape")

    def save_lines(self, backend: str, family: int) -> Iterator[str]:
        """Every table as iptables-save prints it, line by line, for counting.

        Without ``-t`` it reads only registered tables (iptables-save(8)).
        """
        command = self.commands.get((backend, family))
        if command is None:
            return
        yield from command_line.lines([command.save_path], CALL_SECONDS)

    def save(self, backend: str, family: int) -> str:
        """Every table as iptables-save prints it; empty if there is none. Raises Failure."""
        command = self.commands.get((backend, family))
        if command is None or (backend == "legacy" and not legacy_tables(family)):
            return ""
        return run([command.save_path])

    def chain(self, backend: str, family: int, table: str, chain: str) -> str:
        """One chain as ``iptables -S CHAIN -v`` prints it, with counters; raises Failure."""
        command = self.commands.get((backend, family))
        if command is None or (backend == "legacy" and table not in legacy_tables(family)):
            raise Failure(f"no {backend} table {table} here")
        return self._run_locked(command, ["-t", table, "-v", "-S", chain])

    def _raw(self, backend: str, family: int, words: list[str]) -> None:
        self._run_locked(self._command(backend, family), ["-t", "raw", *words])

    def _command(self, backend: str, family: int) -> Command:
        command = self.commands.get((backend, family))
        if command is None:
            name = f"{_FAMILY_NAMES[family]}-{backend}"
            raise Failure(f"{name} is not installed; install the iptables package")
        return command

    def _run_locked(self, command: Command, words: list[str]) -> str:
        self._count_lock(command)
        return run([command.path, "-w", str(LOCK_SECONDS), *words])

    def _count_lock(self, command: Command) -> None:
        # iptables-legacy takes the lock for every command, listing included, iptables-nft never.
        with self._counting:
            self.locks_taken += command.backend == "legacy"


def is_built_in(family: str, table: str) -> bool:
    """Whether iptables lists a table of this name; ``family`` is in nft's words."""
    return family in ("ip", "ip6") and table in _TABLES


def is_chain_name(text: str) -> bool:
    """Whether a command can be given this as the name of a chain (xtables(8): 28 characters)."""
    return 0 < len(text) < 29 and text[0] not in "-!" and text.isprintable() and " " not in text


def nft_table(family: str, name: str) -> str:
    """A table as ``nft`` prints it, with handles, without counters and elements of sets.

    Raises Failure.
    """
    return _nft(["-a", "-s", "-t", "list", "table", family, name])


def nft_chain(family: str, table: str, name: str) -> str:
    """One chain as ``nft`` prints it, with handles and counters; raises Failure."""
    return _nft(["-a", "-t", "list", "chain", family, table, name])


def run(argv: Sequence[str], text: str = "", errors: str = "backslashreplace") -> str:
    """Standard output of a command that reads ``text``; raises CommandFailed."""
    return command_line.run(argv, CALL_SECONDS, text, errors)


def _nft(words: list[str]) -> str:
    # nft reads its arguments as one text of its language, in which a name could say anything.
    if not all(_NFT_WORD.match(word) for word in words):
        raise Failure(f"nft can't be asked for {' '.join(words[-3:])!r}")
    path = _which("nft")
    if path is None:
        raise Failure("nft is not installed; native nf_tables rules have no text without it")
    return run([path, *words])


def legacy_tables(family: int) -> tuple[str, ...]:
    """The legacy tables registered in this namespace: those that print hops."""
    try:
        return tuple(Path(_TABLE_NAMES[family]).read_text().split())
    except OSError:
        return ()


def _line(*words: str) -> str:
    """Words as iptables-restore reads them: in quotes, where only backslash and quote are more."""
    return " ".join('"' + word.replace("\\", r"\\").replace('"', r"\"") + '"' for word in words)


def _find(backend: str, family: int) -> Command | None:
    """The backend's own command, or the plain one if its version says that it is this backend."""
    plain = _FAMILY_NAMES[family]
    for name in (f"{plain}-{backend}", plain):
        path, save = _which(name), _which(f"{name}-save")
        if path and save and (name != plain or _backend_of(path) == backend):
            return Command(backend, family, name, path, save, _which(f"{name}-restore"))
    return None


def _which(name: str) -> str | None:
    # A user's PATH often lacks sbin, and sudo's may too.
    return shutil.which(name) or shutil.which(name, path=_SBIN)


def _backend_of(path: str) -> str | None:
    """What ``iptables --version`` says; versions before 1.8 say nothing and are legacy."""
    try:
        return "nft" if "nf_tables" in run([path, "--version"]) else "legacy"
    except Failure:
        return None
