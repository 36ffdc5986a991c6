"""Ours and each installed peer on the same traffic: ``python tests/bench/peers.py [OPTIONS]``.

Run as root, with the package installed. Builds a lab with so many services, adds one TRACE rule
without a limit, and has each tool in turn trace what a sender sends: the same packets at the same
rate, or as fast as it goes. Ours is the real program: ``record``, and the screen in a pseudo
terminal. Printed are the hops that the kernel made (packets sent, times what one packet makes when
nothing is lost), what the tool has of them, what is missing, CPU time and memory of all its
processes, and the sender's rate. The sender has one core, the tool another.

For ``dmesg -W`` the kernel's switch that lets a namespace log (nf_log_all_netns) is turned on while
it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Optional

from tracetui.kernel.netlink import NfLog, NftTrace
from tracetui.lab.network import CLIENT_SIDE, SERVER, Lab
from tracetui.lab.ruleset import DNS, DNS_BACKEND, SERVICES, LabRuleset

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.bench.sender import FLOWS
from tests.kernel.test_hostile_names import every_namespace_logged
from tests.safety.terminal import Terminal

SENDER_CORE, TOOL_CORE = "0", "1"
ENDED_SECONDS = 2.5
"""After which the connections of the run before have ended."""
QUIET_SECONDS, QUIET_SHARE = 1.0, 0.1
"""A tool that takes no more of a core for so long has written all it will."""
MOST_SECONDS = 90.0
NOTICE_SECONDS = 15.0
_TITLE = r"([1-9][\d,]*) (?:· [\d,]+ dropped )?· (?:following|stopped)"
SCRATCH = Path("/dev/shm")  # noqa: S108 - in memory: a disk's time is not to be measured
TICK = os.sysconf("SC_CLK_TCK")
PEERS = {"nft": ("xtables-monitor", "nft monitor"), "legacy": ("dmesg -W",)}
OURS = ("record", "screen")


class Flow(NamedTuple):
    """What is sent."""

    name: str
    destination: str
    port: int
    proto: str


class Made(NamedTuple):
    """Hops of the first packet of each flow, and of the first two: the first one passes nat too."""

    first: int
    two: int

    def of(self, packets: int) -> int:
        return self.first + (packets - FLOWS) * (self.two - self.first) // FLOWS


class Run(NamedTuple):
    """What one tool made of it."""

    made: int
    """Hops, by the kernel."""
    received: Optional[int]
    """None where the tool doesn't say."""
    note: str
    cpu: float
    """Seconds, for 10,000 packets."""
    memory: float
    """MB at the highest."""
    rate: float
    """Packets a second that the sender came to."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", choices=("nft", "legacy"), action="append")
    parser.add_argument("--services", type=int, action="append")
    parser.add_argument("--flow", choices=("steady", "new"), action="append")
    parser.add_argument("--rate", type=int, action="append", help="packets a second, 0: unpaced")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--tool", action="append")
    options = parser.parse_args()
    print(
        f"{'':6} {'services':>8} {'flow':6} {'asked/s':>8} {'tool':15} {'sent/s':>8} {'made':>9}"
        f" {'received':>9} {'missing':>9} {'cpu s/10k':>9} {'MB':>5}",
        flush=True,
    )
    for backend in options.backend or ("nft", "legacy"):
        for services in options.services or (50, 5000):
            with Lab(LabRuleset(backend, SERVER, services)) as lab, sink(lab):
                bench = Bench(lab, backend, services, options)
                for flow in flows(services):
                    if flow.name in (options.flow or (flow.name,)):
                        bench.run(flow)


def flows(services: int) -> tuple[Flow, Flow]:
    last = services - 1
    address = f"10.{100 + last // 65536}.{last // 256 % 256}.{last % 256}"
    return (
        Flow("steady", SERVICES[4]["dns"], DNS, "udp"),
        Flow("new", address, 80, "tcp"),
    )


@contextmanager
def sink(lab: Lab) -> Iterator[None]:
    """A socket that takes the datagrams in, so that no errors are sent back."""
    import socket

    def opened() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("", DNS_BACKEND))
        return made

    with lab.inside(lab.server, opened):
        yield


class Bench:
    """One ruleset, and the tools on it."""

    def __init__(self, lab: Lab, backend: str, services: int, options: argparse.Namespace) -> None:
        self._lab, self._backend, self._services = lab, backend, services
        self._options = options
        for name in ("udp_timeout", "udp_timeout_stream", "tcp_timeout_close"):
            self._inside("sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}=1")

    def run(self, flow: Flow) -> None:
        per_packet = self._calibrate(flow)
        tools = self._options.tool or (*PEERS[self._backend], *OURS)
        for rate in self._options.rate or (1000, 3000, 10_000, 30_000, 0):
            count = int((rate or 20_000) * self._options.seconds)
            for tool in tools:
                runs = [
                    self._one(tool, flow, count, rate, per_packet)
                    for _ in range(self._options.times)
                ]
                self._print(flow, rate, tool, runs)

    def _print(self, flow: Flow, rate: int, tool: str, runs: list[Run]) -> None:
        middle = statistics.median_low
        notes = sorted({run.note for run in runs if run.note})
        missing = [f"{run.made - run.received:,}" for run in runs if run.received is not None]
        received = [run.received for run in runs if run.received is not None]
        print(
            f"{self._backend:6} {self._services:8,} {flow.name:6} {rate or 'most':>8} {tool:15}"
            f" {middle([run.rate for run in runs]):8,.0f} {runs[0].made:9,}"
            f" {middle(received) if received else 0:9,} {'/'.join(missing):>9}"
            f" {middle([run.cpu for run in runs]):9.2f} {max(run.memory for run in runs):5.0f}"
            f"  {'; '.join(notes)}",
            flush=True,
        )

    def _one(self, tool: str, flow: Flow, count: int, rate: int, made: dict[str, Made]) -> Run:
        time.sleep(ENDED_SECONDS)
        run = self._ours if tool in OURS else self._peer
        return run(tool, flow, count, rate, made)

    def _calibrate(self, flow: Flow) -> dict[str, Made]:
        """What packets come to by each tool, when it is given time."""
        found: dict[str, Made] = {}
        ours = Made(*(self._datagrams(flow, count) for count in (FLOWS, 2 * FLOWS)))
        for tool in OURS:
            found[tool] = ours
        for tool in PEERS[self._backend]:
            few, more = (
                self._one(tool, flow, count, 200, {}).received for count in (FLOWS, 2 * FLOWS)
            )
            assert few is not None
            assert more is not None
            found[tool] = Made(few, more)
        return found

    def hops_of(self, flow: Flow) -> int:
        """What one packet of a flow that is known makes."""
        few, more = (self._datagrams(flow, count) for count in (FLOWS, 2 * FLOWS))
        return (more - few) // FLOWS

    def _datagrams(self, flow: Flow, count: int) -> int:
        receiver = NftTrace if self._backend == "nft" else NfLog
        time.sleep(ENDED_SECONDS)
        with ExitStack() as stack:
            if self._backend == "legacy":
                stack.enter_context(self.bound())
            source = self._lab.inside(self._lab.node, receiver)
            stack.callback(source.close)
            stack.enter_context(self.rule(flow))
            self.send(flow, count, 200)
            time.sleep(0.2)
            datagrams, _, is_all = source.receive(10_000)
            assert is_all
            assert source.lost() == 0
            return len(datagrams)

    def send(self, flow: Flow, count: int, rate: int) -> float:
        argv = ("taskset", "-c", SENDER_CORE, "ip", "netns", "exec", self._lab.client)
        sender = (sys.executable, str(Path(__file__).with_name("sender.py")))
        what = (flow.destination, str(flow.port), flow.proto, str(count), str(rate))
        done = subprocess.run([*argv, *sender, *what], capture_output=True, text=True, check=True)
        return float(done.stdout)

    def _peer(self, tool: str, flow: Flow, count: int, rate: int, made: dict[str, Made]) -> Run:
        command = {
            "xtables-monitor": ["xtables-monitor", "--trace"],
            "nft monitor": ["nft", "monitor", "trace"],
            "dmesg -W": ["dmesg", "-W"],
        }[tool]
        with ExitStack() as stack:
            if tool == "dmesg -W":
                stack.enter_context(every_namespace_logged())
            out = stack.enter_context(tempfile.NamedTemporaryFile(dir=SCRATCH))
            errors = stack.enter_context(tempfile.TemporaryFile())
            argv = ("taskset", "-c", TOOL_CORE, "ip", "netns", "exec", self._lab.node, *command)
            stack.enter_context(self.rule(flow))
            process = subprocess.Popen(argv, stdout=out, stderr=errors)
            stack.callback(process.wait)
            stack.callback(process.kill)
            time.sleep(0.5 if self._services < 1000 else 2.0)
            before = cpu(process.pid)
            sent = self.send(flow, count, rate)
            wait_quiet([process.pid])
            note = ""
            if process.poll() is None:
                used, memory = cpu(process.pid) - before, peak(process.pid)
            else:
                errors.seek(0)
                used, memory = float("nan"), float("nan")
                note = f"exited {process.returncode}: {errors.read().decode().strip()[-60:]}"
            process.kill()
            pattern = rb"(?m)^.*(?:TRACE: |PACKET: |trace id ).*$"
            received = len(re.findall(pattern, Path(out.name).read_bytes()))
            hops = made[tool].of(count) if made else received
            return Run(hops, received, note, used / count * 1e4, memory, sent)

    def _ours(self, tool: str, flow: Flow, count: int, rate: int, made: dict[str, Made]) -> Run:
        out = SCRATCH / "tracetui-bench.ndjson"
        out.unlink(missing_ok=True)
        options = ["--netns", self._lab.node, "--guard", "100000000", "--expire", "10m"]
        source = ("--source", "nftrace" if self._backend == "nft" else "nflog")
        rule = ["-4", "-i", CLIENT_SIDE, "-p", flow.proto, "--dport", str(flow.port)]
        rule += ["--limit", "none", "--backend", self._backend, "--force"]
        argv = ["record", *options, *source, *rule, "-w", str(out)]
        if tool == "screen":
            argv = [*options, *source, *rule]
        with Terminal(
            *argv, mark="bench", size=(200, 50), before=("taskset", "-c", TOOL_CORE), keep=1 << 20
        ) as program:
            end = time.monotonic() + 60
            while not self.has_rule() or (tool == "screen" and "added" not in program.text):
                assert time.monotonic() < end, program.text
                time.sleep(0.1)
            time.sleep(1.0 if self._services < 1000 else 4.0)
            pids = program.processes()
            before = {pid: cpu(pid) for pid in pids}
            sent = self.send(flow, count, rate)
            wait_quiet(pids)
            used = {pid: cpu(pid) - before[pid] for pid in pids}
            memory = sum(peak(pid) for pid in pids)
            told = self._told(program) if tool == "screen" else ""
            program.type("q" if tool == "screen" else "\x03")
            program.process.wait(60)
        received, note = counts(out) if tool == "record" else (None, shown(told))
        parts = [used[pid] / count * 1e4 for pid, name in pids.items() if "collector" in name]
        note = f"{parts[0]:.2f} of it the collector; {note}".rstrip("; ")
        used_in_all = sum(used.values()) / count * 1e4
        return Run(made[tool].of(count), received, note, used_in_all, memory, sent)

    @staticmethod
    def _told(program: Terminal) -> str:
        """What the screen says of packets, once no notice lies over it."""
        end = time.monotonic() + NOTICE_SECONDS
        while not re.search(_TITLE, program.text) and time.monotonic() < end:
            time.sleep(0.2)
        return program.text

    def has_rule(self) -> bool:
        return "TRACE" in self._inside(f"iptables-{self._backend}-save", "-t", "raw")

    def rules(self) -> int:
        """The rules of the node."""
        return self._inside(f"iptables-{self._backend}-save").count("\n-A")

    @contextmanager
    def rule(self, flow: Flow) -> Iterator[None]:
        command = f"iptables-{self._backend}"
        rule = ("-i", CLIENT_SIDE, "-p", flow.proto, "--dport", str(flow.port), "-j", "TRACE")
        self._inside(command, "-t", "raw", "-I", "PREROUTING", *rule)
        try:
            yield
        finally:
            self._inside(command, "-t", "raw", "-D", "PREROUTING", *rule)

    @contextmanager
    def bound(self) -> Iterator[None]:
        """IPv4's log goes to nfnetlink_log."""
        logger = "/proc/sys/net/netfilter/nf_log/2"
        before = self._inside("cat", logger).strip()
        self._inside("sh", "-c", f"echo nfnetlink_log > {logger}")
        try:
            yield
        finally:
            self._inside("sh", "-c", f"echo {before} > {logger}")

    def _inside(self, *argv: str) -> str:
        argv = ("ip", "netns", "exec", self._lab.node, *argv)
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def counts(path: Path) -> tuple[int, str]:
    """Hops in a recording, and what it says it lost."""
    hops: dict[int, int] = {}
    lost = unshown = 0
    with path.open() as lines:
        for line in lines:
            value = json.loads(line)
            if value["kind"] == "packet":
                hops[value["id"]] = len(value["hops"])
            elif value["kind"] == "loss":
                lost, unshown = lost + value["lost"], unshown + value["unshown"]
    return sum(
        hops.values()
    ), f"says lost {lost:,}, not shown {unshown:,}" if lost or unshown else ""


def shown(text: str) -> str:
    """What the screen says at last of packets and losses."""
    packets = re.findall(_TITLE, text)[-1:]
    lost = re.findall(r"lost ([\d,]+)(?: *· *not shown ([\d,]+))?", text)[-1:]
    return f"{''.join(packets)} packets, lost {' '.join(lost[0]).strip() if lost else '?'}"


def wait_quiet(pids: Iterable[int]) -> None:
    """Wait until processes have done their work, by the processor time they take."""
    end, last = time.monotonic() + MOST_SECONDS, -1.0
    while time.monotonic() < end:
        now = sum(cpu(pid) for pid in pids)
        if now - last < QUIET_SHARE * QUIET_SECONDS:
            return
        last = now
        time.sleep(QUIET_SECONDS)


def cpu(pid: int) -> float:
    """Seconds of processor time of one process so far."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK
    return 0.0


def peak(pid: int) -> float:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return 0.0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
