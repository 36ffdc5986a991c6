"""How fast it starts: ``python tests/bench/start.py [TIMES]``, ten of each if not said.

Measured in turn, so that a noisy machine hits all alike: importing ``textual.app``, which is what
every program of Textual's pays; the screen in a pseudo terminal, from the command to its first
picture, of a replay and of a trace in a namespace that is made for it; and a command that only
prints. Python's compiled files are written first, as pip does. Run as root.
"""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.safety.terminal import Terminal

import tracetui

ROOT = Path(__file__).parents[2]
LOG = str(ROOT / "tests" / "recordings" / "seed-eks-forward.log")


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    compileall.compile_dir(str(Path(tracetui.__file__).parent), quiet=1)
    netns = f"start-{os.getpid()}"
    measured = {
        "import textual.app": imported,
        "first picture of a replay": lambda: painted("replay", LOG),
        "first picture of a trace": lambda: painted("--netns", netns),
        "tracetui modules": text,
    }
    taken: dict[str, list[float]] = {name: [] for name in measured}
    subprocess.run(["ip", "netns", "add", netns], check=True)
    try:
        for _ in range(times):
            for name, measure in measured.items():
                taken[name].append(measure())
    finally:
        subprocess.run(["ip", "netns", "del", netns], check=True)
    base = statistics.median(taken["import textual.app"])
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"{name}: median {median:.2f} s, fastest {min(seconds):.2f}, ", end="")
        print(f"{median / base:.2f} times the import", flush=True)


def imported() -> float:
    return ran("-c", "import textual.app")


def text() -> float:
    return ran("-m", "tracetui", "modules")


def ran(*words: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def painted(*words: str) -> float:
    began = time.monotonic()
    with Terminal(*words, mark="start", size=(120, 40)) as program:
        while b"TRACE rules" not in program._seen:
            time.sleep(0.002)
        return time.monotonic() - began


if __name__ == "__main__":
    main()
