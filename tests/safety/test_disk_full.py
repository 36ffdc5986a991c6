"""No room for a recording, or for the state file."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from .terminal import MARK, PROGRAM

pytestmark = pytest.mark.kernel

RULE = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend")


@contextmanager
def full_disk(path: Path, kilobytes: int = 0):
    """A file system at ``path`` with so much room."""
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(path)], check=True)
    try:
        with (path / "filler").open("wb") as filler:
            filler.write(bytes((64 - kilobytes) * 1024 - 4096))
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def recorder(namespace, *argv: str, before: tuple[str, ...] = ()) -> subprocess.Popen:
    return subprocess.Popen(
        [*before, *PROGRAM, "--netns", namespace.name, "record", *argv],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        env={**os.environ, MARK: namespace.name},
    )  # fmt: skip


def test_a_recording_that_finds_no_room_ends_and_leaves_nothing(faults, tmp_path, eventually):
    disk = tmp_path / "disk"
    with full_disk(disk, kilobytes=8):
        file = disk / "trace.ndjson"
        rule = (*RULE, "nft", "--limit", "none", "--force")
        running = recorder(faults.namespace, *rule, "-w", str(file))
        eventually(faults.namespace.trace_rules, 20.0)
        for _ in range(20):
            faults.namespace.ping(count=50)
            if running.poll() is not None:
                break
        _, err = running.communicate(timeout=30)
        assert running.returncode == 1
        assert "No space left on device" in err
        assert "Traceback" not in err
        lines = file.read_text().splitlines()
        assert json.loads(lines[0])["kind"] == "hello"
    faults.leaves_nothing("the disk is full: recording")


def test_without_room_for_the_state_file_nf_log_is_not_touched(faults, eventually):
    """The collector falls back to the kernel log, and says why."""
    fill = (
        "mkdir -p /run/tracetui && mount -t tmpfs -o size=4k,mode=0700 tmpfs /run/tracetui && "
        'head -c 65536 /dev/zero > /run/tracetui/filler; exec "$@"'
    )
    before = ("unshare", "-m", "sh", "-c", fill, "sh")
    running = recorder(faults.namespace, *RULE, "legacy", "--seconds", "2", before=before)
    eventually(faults.namespace.trace_rules, 20.0)
    assert faults.namespace.loggers() == {2: "nf_log_ipv4", 10: "nf_log_ipv6"}
    _, err = running.communicate(timeout=30)
    assert running.returncode == 0, err
    assert "No space left on device" in err
    assert "kernel log" in err
    faults.leaves_nothing("the disk is full: state file")
