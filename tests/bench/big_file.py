"""What a big log costs: ``python tests/bench/big_file.py [HOPS]``, a million if none is said.

Makes a file as plain dmesg prints it, of as many packets of 22 hops as that takes, in 500 flows,
and measures on it: ``grep -c``, for the machine's speed; ``replay --format json``, also of one of
a quarter of the hops: what a hop costs must not grow with the file; and the screen in a pseudo
terminal: its first row, a key pressed while the file is being read, when all of it is there, a
filter, the memory and quitting. Needs no root.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.recorded import lines
from tests.safety.terminal import Terminal

FLOWS = 500
HOPS_OF_PACKET = 22
FIRST_PORT = 20_000
SECONDS = 300.0
LESS = 4
"""How many times smaller the file is that it is held against."""
TIMES = 3


def main() -> None:
    packets = int(sys.argv[1] if len(sys.argv) > 1 else 1_000_000) // HOPS_OF_PACKET // LESS * LESS
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "big.log")
        write(path, packets)
        size = path.stat().st_size
        print(f"{packets * HOPS_OF_PACKET:,} hops in {packets:,} packets, {size / 1e6:,.0f} MB")
        text(path, packets)
        screen(path, packets)


def write(path: Path, packets: int) -> None:
    bodies = [line[line.index("TRACE: ") :] for line in lines("seed-eks-forward.log")]
    bodies = bodies[:HOPS_OF_PACKET]
    stamp = 1000.0
    with path.open("w") as file:
        for number in range(packets):
            own = (f" ID={number % 65_536} ", f" SPT={FIRST_PORT + number % FLOWS} ")
            for body in bodies:
                stamp += 7e-6
                hop = re.sub(r" ID=\d+ ", own[0], re.sub(r" SPT=\d+ ", own[1], body))
                file.write(f"[{stamp:12.6f}] {hop}\n")


def text(path: Path, packets: int) -> None:
    hops = packets * HOPS_OF_PACKET
    began = time.monotonic()
    # To a pipe: grep looks no further than one match where nobody reads what it prints.
    subprocess.run(["grep", "-c", "TRACE", path], check=True, stdout=subprocess.PIPE)
    grep = time.monotonic() - began
    print(f"  grep -c                         {grep:6.2f} s, {hops / grep:12,.0f} lines/s")
    few = path.with_name("few.log")
    write(few, packets // LESS)
    # In turn, so that a noisy machine hits both alike.
    runs = [(printed(few, hops // LESS), printed(path, hops)) for _ in range(TIMES)]
    fewer, more = (min(run[at].cpu for run in runs) for at in (0, 1))
    took, first = (min(run[1][at] for run in runs) for at in (0, 1))
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"  replay --format json            {took:6.2f} s, {hops / took:12,.0f} hops/s")
    print(f"    its first line after          {first:6.2f} s, memory at most {used:,.0f} MB")
    each, ratio = more / hops * 1e6, more / fewer / LESS
    print(f"    processor time a hop          {each:6.2f} us, {ratio:.2f} times that of a", end="")
    print(f" file with 1/{LESS} of the hops")


class Printed(NamedTuple):
    """How long it took to print a file, all of it and the first line, and the processor time."""

    seconds: float
    first: float
    cpu: float


def printed(path: Path, hops: int) -> Printed:
    argv = [sys.executable, "-m", "tracetui", "replay", "--format", "json", str(path)]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        first = process.stdout.readline() and time.monotonic() - began
        last = deque(process.stdout, maxlen=1)[0]
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert json.loads(last)["hops"] == hops
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Printed(took, float(first), cpu)


def screen(path: Path, packets: int) -> None:
    env = {"XDG_CONFIG_HOME": str(path.parent)}
    began = time.monotonic()
    with Terminal(
        *("replay", str(path)), mark="big-file", size=(160, 50), env=env, keep=1 << 18
    ) as program:
        told("first row", waited(program, began, lambda: "tcp SYN" in program.text))
        keys = [pressed(program, "?", "Keys"), pressed(program, "\x1b", "following")]
        told("a key while it reads, to what it shows", max(keys))
        done = f"{packets:,} · following"
        told("all of it is there", waited(program, began, lambda: done in program.text))
        pid = next(iter(program.processes()))
        memory = status_mb(pid)
        hops = packets * HOPS_OF_PACKET
        each = memory * 1e6 / hops
        print(f"  memory with all hops held       {memory:6.0f} MB, {each:.0f} bytes a hop")
        flow = len(range(0, packets, FLOWS))
        before = time.monotonic()
        program.type("=")
        some = f" of {packets:,}"
        told("only this flow: the first", waited(program, before, lambda: some in program.text))
        done = f"{flow:,} of {packets:,}"
        told("the same: all of it", waited(program, before, lambda: done in program.text))
        before = time.monotonic()
        program.type("q")
        program.process.wait(60)
        told("q to the end", time.monotonic() - before)


def pressed(program: Terminal, key: str, shown: str) -> float:
    count, before = program.text.count(shown), time.monotonic()
    program.type(key)
    return waited(program, before, lambda: program.text.count(shown) > count)


def waited(program: Terminal, began: float, is_true: Callable[[], bool]) -> float:
    program.wait_for(is_true, SECONDS)
    return time.monotonic() - began


def told(what: str, seconds: float) -> None:
    print(f"  {what:40} {seconds:6.2f} s", flush=True)


def status_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    os.environ.pop("NO_COLOR", None)
    main()
