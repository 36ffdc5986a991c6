"""The iptables commands: found, run with a time limit, their text handed back unread."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import NamedTuple, Optional

from tracetui.errors import Failure
from tracetui.kernel import command_line
from tracetui.kernel.legacy_tables import names_file, registered_tables
from tracetui.model.tracing.rule_fields import BACKENDS
from tracetui.model.tracing.trace_rule import LOCK_SECONDS

CALL_SECONDS = 15.0
"""Seconds after which a call is stopped; more than the lock's wait and a slow listing together."""
ENTRIES_A_SECOND = 10_000
"""Entries that iptables-legacy rewrites in a second at least, on a slow node: it reads and
writes it whole. Here 250,000 rules took 1.4 to 1.6 seconds (1.8.9)."""
LOCKED = 4
"""The commands' exit status when the lock was not to be had (RESOURCE_PROBLEM, xtables.h)."""

_FAMILY_NAMES = {4: "iptables", 6: "ip6tables"}
_SAFE_NAME = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:/+-]*", re.ASCII)
"""Names that a program is told; other ones could be read as something else than a name."""
_NFT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*", re.ASCII)
_OWN_LOCK = "XTABLES_LOCKFILE"
"""The variable that gives a command another lock file (iptables 1.8.4, iptables/xshared.c)."""
_BUILT_IN_TABLES = frozenset(("raw", "mangle", "nat", "filter", "security"))


class XtablesCommand(NamedTuple):
    """The pair of programs that serves one backend and family."""

    backend: str
    family: int
    name: str
    """``iptables-nft`` and its like, as it is typed."""
    path: str
    save_path: str
    restore_path: Optional[str]
    """The restore command; None where the package lacks it: rules can't be replaced there."""


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
        """Commands of ours that may have taken the xtables lock; counted before they run."""
        self._counting = threading.Lock()

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends that have at least their IPv4 command."""
        return tuple(backend for backend in BACKENDS if (backend, 4) in self.commands)

    def insert(self, backend: str, family: int, chain: str, specification: Sequence[str]) -> None:
        """Insert a rule at position 1 of a raw chain; raises CommandFailed, NotStarted."""
        self._raw(backend, family, ["-I", chain, "1", *specification])

    def delete(
        self,
        backend: str,
        family: int,
        chain: str,
        specification: Sequence[str],
        entries: int = 0,
    ) -> None:
        """Delete the one rule of a raw chain that has exactly this specification.

        It has time for a table of so many ``entries``. Raises CommandFailed, NotStarted.
        """
        self._raw(backend, family, ["-D", chain, *specification], entries)

    def delete_legacy_at(
        self, family: int, chain: str, position: int, entries: int, lock_file: str
    ) -> None:
        """Delete the rule at a position of a legacy raw chain, while the caller has the lock.

        The command takes ``lock_file`` for its lock; raises Failure. One that knows no other lock
        than the caller's ends without having done anything (status LOCKED).
        """
        if not is_chain_name(chain):
            raise Failure(f"{chain!r} is no name that iptables can be told")
        command = self._command("legacy", family)
        self._count_lock(command)
        words = [command.path, "-w", "1", "-t", "raw", "-D", chain, str(position)]
        seconds = CALL_SECONDS + entries / ENTRIES_A_SECOND
        command_line.run(words, seconds, settings={_OWN_LOCK: lock_file})

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

    def lack(self, backend: str, family: int) -> str:
        """Tell in a sentence why rules here can't be listed; empty where nothing is missing.

        Legacy tables stand without the commands where a container brought its own.
        """
        if (backend, family) in self.commands:
            return ""
        name = f"{_FAMILY_NAMES[family]}-{backend}"
        if backend == "nft":
            return f"{name} is not installed"
        tables = registered_tables(family)
        if not tables:
            return ""
        return f"{name} is not installed, and {names_file(family)} names {', '.join(tables)}"

    def list_raw(self, backend: str, family: int) -> str:
        """The raw table with counters; empty if there is none. Raises Failure.

        As ``iptables-save -c`` prints it on legacy, where a table is only looked at if it is
        registered: listing would register it. On nft as ``iptables -v -S`` does, for there
        iptables-nft-save reads every table first, whichever it is asked for. Bytes that are no
        UTF-8 are kept: a rule is deleted by the very words that were listed.
        """
        if backend == "legacy" and "raw" not in registered_tables(family):
            return ""
        command = self._command(backend, family)
        if backend == "nft":
            return run([command.path, "-t", "raw", "-v", "-S"], errors="surrogateescape")
        return run([command.save_path, "-c", "-t", "raw"], errors="surrogateescape")

    def save(self, backend: str, family: int) -> str:
        """Print every table as iptables-save does; empty if there is none. Raises Failure.

        Empty too where there is no command: :meth:`lack` tells the two apart.
        """
        command = self.commands.get((backend, family))
        if command is None or (backend == "legacy" and not registered_tables(family)):
            return ""
        return run([command.save_path])

    def chain(self, backend: str, family: int, table: str, chain: str) -> str:
        """Print one chain as ``iptables -S CHAIN -v`` does, with counters; raises Failure."""
        if backend == "legacy" and table not in registered_tables(family):
            raise Failure(f"no {backend} table {table} here")
        command = self._command(backend, family)
        if not is_chain_name(chain):
            raise Failure(f"{chain!r} is no name that iptables can be told")
        return self._run_locked(command, ["-t", table, "-v", "-S", chain])

    def _raw(self, backend: str, family: int, words: list[str], entries: int = 0) -> None:
        command = self._command(backend, family)
        self._run_locked(command, ["-t", "raw", *words], entries)

    def _command(self, backend: str, family: int) -> XtablesCommand:
        command = self.commands.get((backend, family))
        if command is None:
            name = f"{_FAMILY_NAMES[family]}-{backend}"
            raise Failure(f"{name} is not installed; install the iptables package")
        return command

    def _run_locked(self, command: XtablesCommand, words: list[str], entries: int = 0) -> str:
        self._count_lock(command)
        seconds = CALL_SECONDS + entries / ENTRIES_A_SECOND
        return command_line.run([command.path, "-w", str(LOCK_SECONDS), *words], seconds)

    def _count_lock(self, command: XtablesCommand) -> None:
        # iptables-legacy takes the lock for every command, listing included, iptables-nft never.
        with self._counting:
            self.locks_taken += command.backend == "legacy"


def is_built_in(family: str, table: str) -> bool:
    """Whether iptables lists a table of this name; ``family`` is in nft's words."""
    return family in ("ip", "ip6") and table in _BUILT_IN_TABLES


def is_chain_name(text: str) -> bool:
    """Whether a command is told this name of a chain (xtables(8): 28 characters).

    Names that begin like an option, or hold what could end a line, are told to none.
    """
    return len(text) < 29 and _SAFE_NAME.fullmatch(text) is not None


def nft_table(family: str, name: str) -> str:
    """A table as ``nft`` prints it, with handles, without counters and elements of sets.

    Raises Failure.
    """
    return _nft(["-a", "-s", "-t"], "table", family, name)


def nft_chain(family: str, table: str, name: str) -> str:
    """Print one chain as ``nft`` does, with handles and counters; raises Failure."""
    return _nft(["-a", "-t"], "chain", family, table, name)


def run(argv: Sequence[str], text: str = "", errors: str = "backslashreplace") -> str:
    """Standard output of a command that reads ``text``; raises CommandFailed."""
    return command_line.run(argv, CALL_SECONDS, text, errors)


def _nft(options: list[str], *words: str) -> str:
    """List with nft; it is asked through standard input, so that no name is an argument of its."""
    # It is a language, in which a name could say anything.
    if not all(_NFT_NAME.fullmatch(word) for word in words):
        raise Failure(f"nft can't be asked for {' '.join(words[1:])!r}")
    path = command_line.find("nft")
    if path is None:
        raise Failure("nft is not installed; native nf_tables rules have no text without it")
    return run([path, *options, "-f", "-"], f"list {' '.join(words)}\n")


def _line(*words: str) -> str:
    """Words as iptables-restore reads them: in quotes, where only backslash and quote are more."""
    return " ".join('"' + word.replace("\\", r"\\").replace('"', r"\"") + '"' for word in words)


def _find(backend: str, family: int) -> XtablesCommand | None:
    """The backend's own command, or the plain one if its version says that it is this backend."""
    plain = _FAMILY_NAMES[family]
    for name in (f"{plain}-{backend}", plain):
        path, save = command_line.find(name), command_line.find(f"{name}-save")
        if path and save and (name != plain or _backend_of(path) == backend):
            return XtablesCommand(
                backend, family, name, path, save, command_line.find(f"{name}-restore")
            )
    return None


def _backend_of(path: str) -> str | None:
    """Read ``iptables --version``; versions before 1.8 name no backend and are legacy."""
    try:
        return "nft" if "nf_tables" in run([path, "--version"]) else "legacy"
    except Failure:
        return None
