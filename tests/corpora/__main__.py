"""Holds what is read of rulesets against nftables' and iptables' own test rules.

``python -m tests.corpora`` as root. It fetches the two source packages from Debian, loads what the
kernel takes into a namespace of its own, and prints what is read otherwise than the tools print
it. ``--nftables DIR`` and ``--iptables DIR`` take unpacked sources instead; CORPORA_NFT names
another nft.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from . import iptables_check, nft_cases, nft_check
from .nft_check import Wrong

_SOURCES = "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {} {} main\n"


def _mirror() -> str:
    """Where this machine has Debian's packages from (apt-get(8), indextargets)."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return next(line for line in sorted(set(done.stdout.split())) if line.endswith("/debian/"))


def main() -> int:
    """Run both; 1 if anything is read otherwise than it is, 2 if there is nothing to read."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpora", description=__doc__)
    parser.add_argument("--nftables", type=Path, help="unpacked source of nftables")
    parser.add_argument("--iptables", type=Path, help="unpacked source of iptables")
    parser.add_argument("--suite", default="stable", help="of Debian, whose packages are fetched")
    given = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, check in (("nftables", _nft), ("iptables", _iptables)):
            root = getattr(given, name) or _fetched(name, given.suite, Path(directory))
            if root is None:
                print(f"{name}: no source package to be had")
                wrong = wrong or 2
                continue
            wrong = _told(name, check, root) or wrong
    return wrong


def _told(name: str, check, root: Path) -> int:
    counts: Counter[str] = Counter()
    found: list[Wrong] = []
    namespace = f"tt-corpora-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    try:
        subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
        found.extend(check(namespace, root, counts))
    finally:
        subprocess.run(["ip", "netns", "del", namespace], check=True)
    for one in found:
        print(f"{one.what}: {one.case}\n  read  {one.said}\n  is    {one.truth}")
    print(f"{name}: {dict(counts)}; wrong: {dict(Counter(one.what for one in found))}")
    return 1 if found else 0


def _nft(namespace: str, root: Path, counts: Counter[str]) -> Iterator[Wrong]:
    for case in nft_cases.cases(root):
        nft_cases.load(namespace, case)
        yield from nft_check.check(namespace, case, counts)


def _iptables(namespace: str, root: Path, counts: Counter[str]) -> Iterator[Wrong]:
    for case in iptables_check.cases(root):
        for backend in ("nft", "legacy"):
            iptables_check.load(namespace, case, backend)
            yield from iptables_check.check(namespace, case, backend, counts)


def _fetched(name: str, suite: str, directory: Path) -> Path | None:
    """The unpacked source package; None if it can't be had."""
    for part in ("lists/partial", "cache/archives/partial"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    (directory / "sources.list").write_text(_SOURCES.format(_mirror(), suite))
    options = [
        "-o", f"Dir::Etc::sourcelist={directory}/sources.list", "-o", "Dir::Etc::sourceparts=-",
        "-o", f"Dir::State::lists={directory}/lists", "-o", f"Dir::Cache={directory}/cache",
        "-o", "APT::Sandbox::User=root",
    ]  # fmt: skip
    for words in (["update"], ["--download-only", "source", name]):
        subprocess.run(
            ["apt-get", "-q", *options, *words],
            cwd=directory, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    for archive in directory.glob(f"{name}_*.orig.tar.*"):
        if archive.suffix != ".asc":
            subprocess.run(["tar", "xf", str(archive)], cwd=directory, check=True)
    return next((one for one in directory.glob(f"{name}-*") if one.is_dir()), None)


if __name__ == "__main__":
    sys.exit(main())
