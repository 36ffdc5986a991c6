"""The kernel log through /dev/kmsg (Documentation/ABI/testing/dev-kmsg)."""

from __future__ import annotations

import errno
import os
import time

from tracetui.errors import Failure, NotPermitted

RECORD = 8192
"""Bytes; the kernel answers EINVAL if a record does not fit."""


class KernelLog:
    """Records printed from now on, one read each; losses are gaps in their sequence numbers."""

    PATH = "/dev/kmsg"

    def __init__(self) -> None:
        try:
            self._fd = os.open(self.PATH, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            raise NotPermitted("/dev/kmsg needs CAP_SYSLOG: run as root") from None
        except OSError as error:
            raise Failure(f"no kernel log: {os.strerror(error.errno or 0)}") from None
        os.lseek(self._fd, 0, os.SEEK_END)
        self._last: int | None = None
        self._lost = 0

    def fileno(self) -> int:
        """The descriptor to select on."""
        return self._fd

    def receive(self, limit: int) -> tuple[list[bytes], list[float], bool]:
        """Take up to ``limit`` records: those that can hold a hop, their times, whether it is all.

        Times are those of reading, in seconds since the epoch.

        EPIPE says once that records were overwritten before they were read; the gap tells how many.
        """
        records: list[bytes] = []
        times: list[float] = []
        for _ in range(limit):
            try:
                record = os.read(self._fd, RECORD)
            except BlockingIOError:
                return records, times, True
            except OSError as error:
                if error.errno in (errno.EPIPE, errno.EINTR):
                    continue
                raise
            self._note_sequence(record)
            if is_kernel_trace(record):
                records.append(record)
                times.append(time.time())
        return records, times, False

    def lost(self) -> int:
        """Records overwritten since the last call, of whatever origin."""
        lost, self._lost = self._lost, 0
        return lost

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)

    def _note_sequence(self, record: bytes) -> None:
        fields = record.split(b",", 2)
        if len(fields) < 3 or not fields[1].isdigit():
            return
        sequence = int(fields[1])
        if self._last is not None and sequence > self._last + 1:
            self._lost += sequence - self._last - 1
        self._last = sequence


def is_kernel_trace(record: bytes) -> bool:
    """Whether the kernel itself printed this record and it may hold a hop.

    A program that writes to /dev/kmsg can't use facility 0 (kernel/printk/printk.c,
    devkmsg_write), so whatever has another one is not from netfilter, which prints its prefix
    first (net/netfilter/nf_log_syslog.c, nf_log_dump_packet_common). A -j LOG rule whose prefix
    says the same can't be told from it.
    """
    head, _, message = record.partition(b";")
    priority = head.partition(b",")[0]
    return message.startswith(b"TRACE: ") and priority.isdigit() and int(priority) < 8
