"""Measure what a hop costs in each wrapper of the kernel's log.

``python tests/bench/wrappers.py [--old CHECKOUT] [--hops N] [--times N] [--only WORD]``

Writes a recorded scenario again and again, each packet with a source port and an IP id of its own,
wrapped as dmesg, journalctl, rsyslog and /dev/kmsg print it, and one file in which plain lines and
others take turns. Each is read by ``LineReader`` alone, and by ``tracetui replay --format json`` as
a process; with ``--old``, by another checkout too, in turn. Printed is the processor time a hop in
microseconds, the best of so many runs, its ratio to plain dmesg, and to the other checkout's. Needs
no root.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.recorded import unpacked

HERE = Path(__file__).parents[2]
EPHEMERAL = 1024
BOOTED = 1_795_340_000
"""Seconds since the epoch, 2026-11-22 09:33:20 UTC."""
BEGIN_MICROSECONDS, STEP_MICROSECONDS = 4_000_000_000, 60
SHAPES = {
    "dmesg": "[{up}] {msg}",
    "dmesg -T": "[{day} {month} {date} {clock} 2026] {msg}",
    "dmesg -x": "kern  :warn  : [{up}] {msg}",
    "journalctl (short)": "{month} {date} {clock} node-7 kernel: {msg}",
    "journalctl -o short-iso": "2026-11-{date}T{clock}+0000 node-7 kernel: {msg}",
    "journalctl -o short-precise": "{month} {date} {clock}.{part} node-7 kernel: {msg}",
    "rsyslog": "{month} {date} {clock} node-7 kernel: [{up}] {msg}",
    "rsyslog RFC 3339": "2026-11-{date}T{clock}.{part}+00:00 node-7 kernel: [{up}] {msg}",
    "the same, no kernel stamp": "2026-11-{date}T{clock}.{part}+00:00 node-7 kernel: {msg}",
    "/dev/kmsg": "4,{n},{us},-;{msg}",
}
TURNS = "turns: dmesg, other lines"
OTHERS = ("[{up}] eth0: link becomes ready", "[{up}] audit: type=1400 audit(1.1:2): apparmor")
READ = """
import gc, sys, time
from tracetui.parse.line_reader import LineReader
from tracetui.parse.log.line_buffer import LineBuffer
text = open(sys.argv[1]).read().rstrip("\\n")
# Blocks as a replay reads them.
blocks, at = [], 0
while at < len(text):
    end = text.find("\\n", at + (1 << 20))
    end = len(text) if end < 0 else end
    blocks.append(text[at:end])
    at = end + 1
gc.set_threshold(100_000, 50, 100)
reader, hops = LineReader(), 0
began = time.process_time()
for block in map(LineBuffer, blocks):
    while not block.is_done:
        known = reader.take_known(block, 1 << 16)
        hops += len(known)
        if not known:
            hops += len(reader.feed(block.take()))
hops += len(reader.finish())
print(time.process_time() - began, hops)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=Path)
    parser.add_argument("--hops", type=int, default=50_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", default="")
    words = parser.parse_args()
    trees = [HERE] if words.old is None else [words.old, HERE]
    print(f"{'us a hop':28} | reader alone{'':22} | replay --format json")
    plain: list[tuple[float, ...]] = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "hops.log")
        for name in [*SHAPES, TURNS]:
            if words.only not in name and name != "dmesg":
                continue
            path.write_text("".join(f"{line}\n" for line in wrapped(name, words.hops)))
            costs = []
            for cost in (of_reader, of_replay):
                runs = [
                    [cost(tree, path, words.hops) for tree in trees] for _ in range(words.times)
                ]
                costs.append(tuple(min(run[at] for run in runs) for at in range(len(trees))))
            plain = plain or costs
            print(f"{name:28}", *map(row, costs, plain), sep=" | ", flush=True)


def row(costs: tuple[float, ...], plain: tuple[float, ...]) -> str:
    """The cost in each tree with its ratio to plain dmesg there, and new to old."""
    each = "  ".join(f"{us:6.2f} ({us / of_plain:4.2f})" for us, of_plain in zip(costs, plain))
    return each if len(costs) < 2 else f"{each}  {costs[1] / costs[0]:4.2f}"


def wrapped(name: str, hops: int) -> Iterator[str]:
    """The lines of so many hops in one of the shapes."""
    for number, message in enumerate(islice(messages(), hops)):
        if name != TURNS:
            yield line(SHAPES[name], number, message)
        else:
            yield line(SHAPES["dmesg"], number, message)
            yield line(OTHERS[number % len(OTHERS)], number, "")


def line(shape: str, number: int, message: str) -> str:
    """A message in a wrapper; each comes a while after the one before."""
    us = BEGIN_MICROSECONDS + number * STEP_MICROSECONDS
    seconds, part = divmod(us, 1_000_000)
    of_day = (BOOTED + seconds) % 86_400
    clock = f"{of_day // 3600:02}:{of_day // 60 % 60:02}:{of_day % 60:02}"
    return shape.format(
        up=f"{seconds:5}.{part:06}", day="Sun", month="Nov", date=22, clock=clock,
        part=f"{part:06}", n=number, us=us, msg=message,
    )  # fmt: skip


def messages() -> Iterator[str]:
    """The scenario's messages without end; each time its packets are those of new flows."""
    text = unpacked("scenario-legacy.dmesg.txt.gz").splitlines()
    recorded = [line[line.index("TRACE: ") :] for line in text if "TRACE: " in line]
    for turn in count():
        yield from (new_flow(message, turn) for message in recorded)


def new_flow(message: str, turn: int) -> str:
    def moved(found: re.Match[str]) -> str:
        value = int(found[2])
        if found[1] == " ID=":
            return f" ID={(value + turn * 7919) % 65_536}"
        if value < EPHEMERAL:
            return found[0]
        return f"{found[1]}{EPHEMERAL + (value + turn * 101) % (65_536 - EPHEMERAL)}"

    return re.sub(r"( ID=| [SD]PT=)(\d+)", moved, message)


def of_reader(tree: Path, path: Path, hops: int) -> float:
    """Processor time of the reader, in microseconds a hop."""
    done = subprocess.run(
        [sys.executable, "-c", READ, path],
        env=env(tree),
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, read = done.stdout.split()
    assert int(read) == hops
    return float(seconds) / hops * 1e6


def of_replay(tree: Path, path: Path, hops: int) -> float:
    """Processor time of a whole replay, in microseconds a hop."""
    argv = [sys.executable, "-m", "tracetui", "replay", "--format", "json", path]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, env=env(tree), check=True, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert f'"hops":{hops}' in done.stdout[-300:].decode().replace(" ", "")
    return (sum(times(after)) - sum(times(before))) / hops * 1e6


def times(usage: resource.struct_rusage) -> Iterable[float]:
    return usage.ru_utime, usage.ru_stime


def env(tree: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(tree / "app")}


if __name__ == "__main__":
    main()
