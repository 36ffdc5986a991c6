"""Somebody else with CAP_NET_ADMIN in the traced namespace, who changes what can be changed.

One run: twenty random changes of raw tables, chains, names, sets, limits, signals and kills, while
rules of ours come and go. What is theirs is done in a second namespace too, where nothing of ours
ever is: at the end both must hold the same.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.any_name import delete_chain, make_chain
from tests.programs import before_others

from tracetui.kernel import netns
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession

CHANGES = 20
MARKER = "MARKER-of-somebody-else"
"""Harmless wherever it gets; it stands in every name, and must reach no command of ours."""
NAMES = (
    f"x\n-A OUTPUT -p 99 -m comment --comment tracetui:1.1.1/ab {MARKER} -c 0 0 -j TRACE\n-N y",
    f"-{MARKER}",
    f"--{MARKER} -j TRACE",
    f"tracetui:{MARKER}",
    f"a b\t{MARKER}",
)
NATIVE = ("meta skuid 0", "ct state new", "ip length 100-200", "meta mark 0x7")
MATCHES = ("sctp", "dccp", "esp", "ah", "gre")
TOOLS = ("iptables", "ip6tables")
ENDING_SECONDS = 10.0
LIMITS = (
    (resource.RLIMIT_NOFILE, 3),
    (resource.RLIMIT_NPROC, 1),
    (resource.RLIMIT_FSIZE, 4096),
    (resource.RLIMIT_AS, 1 << 26),
    (resource.RLIMIT_CPU, 1),
)
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL)


class Attacker:
    """One run, given by its seed, in two namespaces that are there."""

    def __init__(self, seed: int, traced: str, twin: str, folder: Path) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._traced = traced
        self._twin = twin
        self._log = folder / "given"
        self._launcher = before_others(_recorders(folder, self._log))
        self._chains: list[bytes] = []
        self.done: list[str] = []
        """What was done, in order, by both sides."""

    def run(self) -> list[str]:
        """Do it all; what is wrong afterwards, nothing if all is well."""
        for backend in ("legacy", "nft"):
            for tool in TOOLS:
                self._theirs(f"{tool}-{backend}", "-t", "raw", "-S")
                self._theirs(f"{tool}-{backend}", "-t", "raw", "-A", "OUTPUT", "-p", "ah")
        session = self._session()
        try:
            for _ in range(CHANGES):
                if session.ended:
                    session.close()
                    session = self._session()
                self._ours(session)
                change = self._random.choice(self._changes(session))
                change()
                _poll(session, self._random.uniform(0.0, 0.1))
        finally:
            session.close()
        return self._wrong()

    def _wrong(self) -> list[str]:
        end = time.monotonic() + ENDING_SECONDS
        while (left := self._processes()) and time.monotonic() < end:
            time.sleep(0.05)
        found = [f"process {name}" for name in left]
        traced, twin = _state(self._traced), _state(self._twin)
        found += [f"left: {line}" for lines in traced.values() for line in lines if _is_ours(line)]
        for chain in traced.keys() | twin.keys():
            lines, wanted = (
                [line for line in state.get(chain, ()) if not _is_ours(line)]
                for state in (traced, twin)
            )
            if lines != wanted:
                found.append(f"theirs was touched: {chain}: {lines}, not {wanted}")
        if MARKER in self._log.read_text(errors="replace"):
            found.append("a name reached a command")
        return found

    def _session(self) -> LiveSession:
        session = LiveSession(self._traced, launcher=self._launcher, threshold=500)
        _poll(session, 15.0, lambda: session.is_ready or session.ended)
        self.done.append("ours: start")
        return session

    def _ours(self, session: LiveSession) -> None:
        """One order of ours."""
        fields = {
            "chain": self._random.choice(("OUTPUT", "PREROUTING")),
            "family": self._random.choice((4, 6, None)),
            "proto": self._random.choice(("udp", "tcp", None)),
        }
        rule = TraceRule(**fields)._replace(expires=int(time.time()) + 300)
        backend = self._random.choice(("legacy", "nft", "auto"))
        orders: tuple[Callable[[], object], ...] = (
            lambda: session.add_rules([rule], backend, override=True),
            lambda: session.add_rules([rule], backend, override=True),
            lambda: session.delete_rule(session.rules[0].id) if session.rules else None,
            session.extend_rules,
            session.flush,
            session.arm,
        )
        number = self._random.randrange(len(orders))
        self.done.append(f"ours: {number} {backend} {fields}")
        orders[number]()

    def _changes(self, session: LiveSession) -> list[Callable[[], object]]:
        pid = session.collector_pid
        return [
            self._rule,
            self._rule,
            self._flush_chain,
            self._native_rule,
            self._set,
            self._odd_chain,
            self._odd_chain,
            self._new_table,
            self._restore,
            self._hold_lock,
            lambda: self._limit(pid),
            lambda: self._signal(pid),
        ]

    def _theirs(self, *argv: str) -> None:
        """One command of theirs, in both namespaces; what it comes to is the same in both."""
        self.done.append(f"theirs: {' '.join(argv)}")
        for name in (self._traced, self._twin):
            subprocess.run(
                ["ip", "netns", "exec", name, *argv], capture_output=True, timeout=30, check=False
            )

    def _tool(self) -> str:
        backend = self._random.choice(("legacy", "nft"))
        return f"{self._random.choice(TOOLS)}-{backend}"

    def _rule(self) -> None:
        where = self._random.choice((("-A", "OUTPUT"), ("-I", "OUTPUT"), ("-I", "PREROUTING")))
        target = self._random.choice(("TRACE", "NOTRACK", "ACCEPT"))
        comment = ("-m", "comment", "--comment", f"{MARKER} {self._random.randrange(99)}")
        proto = ("-p", self._random.choice(MATCHES))
        self._theirs(self._tool(), "-w", "5", "-t", "raw", *where, *proto, *comment, "-j", target)

    def _flush_chain(self) -> None:
        self._theirs(self._tool(), "-w", "5", "-t", "raw", "-F", "OUTPUT")

    def _native_rule(self) -> None:
        native = self._random.choice(NATIVE).split()
        self._theirs("nft", "add", "rule", "ip", "raw", "OUTPUT", *native, "counter")

    def _set(self) -> None:
        name = f"s{self._random.randrange(3)}"
        self._theirs("nft", "add", "set", "ip", "raw", name, "{ type ipv4_addr; }")
        self._theirs("nft", "add", "element", "ip", "raw", name, "{ 192.0.2.1, 192.0.2.7 }")

    def _odd_chain(self) -> None:
        """Make a chain that no command could name, or delete one."""
        if self._chains and self._random.random() < 0.4:
            name, change = self._chains.pop(), delete_chain
        else:
            name, change = self._random.choice(NAMES).encode(), make_chain
        self.done.append(f"theirs: {change.__name__} {name!r}")
        for namespace in (self._traced, self._twin):
            with contextlib.suppress(OSError):
                change(namespace, b"raw", name)
        if change is make_chain and name not in self._chains:
            self._chains.append(name)

    def _new_table(self) -> None:
        """Delete a raw table and make it anew: handles begin at one again."""
        self._chains.clear()
        self._theirs("nft", "delete", "table", "ip", "raw")
        self._theirs("iptables-nft", "-t", "raw", "-A", "OUTPUT", "-p", "ah")
        self._theirs("iptables-nft", "-t", "raw", "-P", "PREROUTING", "ACCEPT")

    def _restore(self) -> None:
        """Save a raw table, with whatever of ours is in it, and restore it."""
        tool = self._tool()
        self.done.append(f"theirs: {tool}-save | {tool}-restore")
        script = f"{tool}-save -t raw > $0 && sleep 0.05 && {tool}-restore -w 5 < $0"
        for name in (self._traced, self._twin):
            file = str(self._log.parent / f"saved-{name}")
            argv = ["ip", "netns", "exec", name, "sh", "-c", script, file]
            subprocess.run(argv, capture_output=True, timeout=30, check=False)

    def _hold_lock(self) -> None:
        """Hold the xtables lock for a second."""
        self.done.append("theirs: the xtables lock")
        path = os.environ["XTABLES_LOCKFILE"]
        argv = ["flock", path, "sleep", str(self._random.uniform(0.0, 1.0))]
        threading.Thread(target=subprocess.run, args=(argv,), daemon=True).start()

    def _limit(self, pid: int) -> None:
        kind, soft = self._random.choice(LIMITS)
        self.done.append(f"theirs: limit {kind} of {pid} to {soft}")
        with contextlib.suppress(ProcessLookupError):
            hard = resource.prlimit(pid, kind)[1]
            resource.prlimit(pid, kind, (soft, hard))

    def _signal(self, pid: int) -> None:
        number = self._random.choice(SIGNALS)
        self.done.append(f"theirs: {number.name} to {pid}")
        with contextlib.suppress(ProcessLookupError):
            if self._random.random() < 0.3:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.2)
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)

    def _processes(self) -> list[str]:
        """What runs in the traced namespace."""
        here = netns.resolve(self._traced).stat().st_ino
        return sorted(_names_in(here))


def _state(name: str) -> dict[str, list[str]]:
    """The rules of each chain in a namespace, in their order, without counters and handles."""
    found: dict[str, list[str]] = {}
    for tool in TOOLS:
        for line in _output(name, f"{tool}-legacy-save", "-t", "raw"):
            if line.startswith("-A "):
                found.setdefault(f"{tool} {line.split()[1]}", []).append(line)
    table = chain = ""
    for line in _output(name, "nft", "-s", "list", "ruleset"):
        words = line.split()
        if words[:1] == ["table"]:
            table = line
        elif words[:1] in (["chain"], ["set"]):
            chain = f"{table} {line}"
        elif words and words != ["}"] and "type filter hook" not in line:
            text = re.sub(r"counter packets \d+ bytes \d+", "", line).strip()
            found.setdefault(chain, []).append(text)
    return found


def _is_ours(line: str) -> bool:
    """Whether a rule is one of ours; nft does not print the comment by which it is known."""
    is_of_nft = "nftrace set 1" in line and "limit rate 20/second" in line
    return is_of_nft or (line.startswith("-A ") and "limit 20/sec" in line)


def _output(name: str, *argv: str) -> list[str]:
    done = subprocess.run(
        ["ip", "netns", "exec", name, *argv], capture_output=True, timeout=30, check=False
    )
    return done.stdout.decode(errors="backslashreplace").splitlines()


def _names_in(inode: int) -> Iterator[str]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            with contextlib.suppress(OSError):
                if (path / "ns/net").stat().st_ino == inode:
                    yield f"{(path / 'comm').read_text().strip()} ({path.name})"


def _recorders(folder: Path, log: Path) -> Path:
    """Programs that write down what they are given, and then do it."""
    programs = folder / "programs"
    programs.mkdir()
    log.touch()
    names = [f"{tool}-{backend}{end}" for tool in TOOLS for backend in ("legacy", "nft")
             for end in ("", "-save", "-restore")]  # fmt: skip
    for name in (*names, "nft", "modprobe"):
        script = programs / name
        script.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "{name}" "$@" >> {log}\nexec /usr/sbin/{name} "$@"\n'
        )
        script.chmod(0o755)
    return programs


def _poll(
    session: LiveSession, seconds: float, is_done: Callable[[], object] = lambda: False
) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not is_done():
        session.poll()
        time.sleep(0.01)
