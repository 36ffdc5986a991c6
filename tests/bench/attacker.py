"""Many runs of a random attacker: ``python tests/bench/attacker.py [RUNS] [FIRST_SEED]``.

Run as root, with the package installed. Each run is twenty random changes by somebody else in a
namespace of its own, while rules of ours come and go (``tests/safety/attacker.py``). Printed is
each run after which something is wrong, and how many there were.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.safety.attacker import Attacker


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    wrong_runs = 0
    for seed in range(first, first + runs):
        wrong, done = one_run(seed)
        if wrong:
            wrong_runs += 1
            print(f"seed {seed}: {'; '.join(wrong)}", *done, sep="\n  ", flush=True)
        if (seed - first) % 20 == 19:
            print(f"{seed - first + 1} runs, {wrong_runs} of them wrong", flush=True)
    print(f"{runs} runs, {wrong_runs} of them wrong")
    return 1 if wrong_runs else 0


def one_run(seed: int) -> tuple[list[str], list[str]]:
    names = [f"tt-attack-{os.getpid()}-{which}" for which in ("traced", "twin")]
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XTABLES_LOCKFILE"] = f"{folder}/xtables.lock"
            Path(os.environ["XTABLES_LOCKFILE"]).touch(0o600)
            attacker = Attacker(seed, *names, Path(folder))
            return attacker.run(), attacker.done
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


if __name__ == "__main__":
    sys.exit(main())
