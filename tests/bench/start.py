"""How fast it starts: ``python tests/bench/start.py [TIMES [ONEFILE]]``, ten of each if not said.

Measured in turn, so that a noisy machine hits all alike: importing ``textual.app``, which is what
every program of Textual's pays; the screen in a pseudo terminal, from the command to its first
picture, of a replay and of a trace in a namespace that is made for it; and commands that only
print. Python's compiled files are written first, as pip does. With a ONEFILE, tracetui.pyz, the
same of that in between, from its second start on, and how many times as long it takes. Run as root.
"""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.safety.terminal import Terminal

import tracetui

ROOT = Path(__file__).parents[2]
LOG = str(ROOT / "tests" / "recordings" / "seed-eks-forward.log")
INSTALLED = (sys.executable, "-m", "tracetui")
IMPORT = "import textual.app"


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    programs = {"": INSTALLED}
    if len(sys.argv) > 2:
        programs[", one file"] = (sys.executable, sys.argv[2])
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(str(Path(tracetui.__file__).parent), quiet=1)
    netns = f"start-{os.getpid()}"
    # The one file before what it is compared to, and the other way round, by turns.
    measured: dict[str, Callable[[], float]] = {IMPORT: lambda: ran((sys.executable, "-c", IMPORT))}
    for kind, program in programs.items():
        measured.update(measures(kind, program, netns))
    taken: dict[str, list[float]] = {name: [] for name in measured}
    subprocess.run(["ip", "netns", "add", netns], check=True)
    try:
        for measure in measured.values():
            measure()
        for number in range(times):
            for name in list(measured)[:: -1 if number % 2 else 1]:
                taken[name].append(measured[name]())
    finally:
        subprocess.run(["ip", "netns", "del", netns], check=True)
    tell(taken)


def measures(kind: str, program: tuple[str, ...], netns: str) -> dict[str, Callable[[], float]]:
    """What is measured of a program."""
    return {
        f"first picture of a replay{kind}": lambda: painted(program, "replay", LOG),
        f"first picture of a trace{kind}": lambda: painted(program, "--netns", netns),
        f"tracetui modules{kind}": lambda: ran((*program, "modules")),
        f"tracetui --version{kind}": lambda: ran((*program, "--version")),
    }


def tell(taken: dict[str, list[float]]) -> None:
    """Print what it took, and how many times as long as what it is compared to."""
    for name, seconds in taken.items():
        installed, is_onefile, _ = name.rpartition(", one file")
        base = taken[installed if is_onefile else IMPORT]
        median = statistics.median(seconds)
        ratio = median / statistics.median(base), min(seconds) / min(base)
        print(f"{name}: median {median:.3f} s, fastest {min(seconds):.3f}: ", end="")
        print("{:.2f} and {:.2f} times ".format(*ratio), end="")
        print("the installed one" if is_onefile else "the import", flush=True)


def ran(words: tuple[str, ...]) -> float:
    began = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def painted(program: tuple[str, ...], *words: str) -> float:
    began = time.monotonic()
    with Terminal(*words, mark="start", size=(120, 40), program=program) as terminal:
        while b"Packets" not in terminal._seen:
            time.sleep(0.002)
        return time.monotonic() - began


if __name__ == "__main__":
    main()
