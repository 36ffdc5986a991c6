"""A thread that runs blocking jobs one after the other, so that receiving never waits for them."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Optional

from tracetui.errors import TracetuiError

Job = Callable[[], None]


WAITING_JOBS = 64
"""Jobs that wait at most; beyond, commands come faster than they are done."""
PRIORITY = -10
"""Nice value of what goes before the node's own work; it wants little."""


def go_before_others() -> None:
    """Have this thread, and the processes it starts, go before others (setpriority(2))."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


def failure_text(error: Exception) -> str:
    """Return the sentence about a job that failed; a fault of our own begins with ``internal``."""
    return str(error) if isinstance(error, TracetuiError) else f"internal: {error!r}"


class Worker:
    """Runs jobs in the order they were given; a job that fails is told and does not end it."""

    def __init__(
        self, name: str, failed: Callable[[Exception], None], is_urgent: bool = False
    ) -> None:
        """``is_urgent`` for jobs, and the commands they run, that go before the node's own work."""
        self._failed = failed
        self._is_urgent = is_urgent
        self._jobs: queue.SimpleQueue[Optional[Job]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def has_waiting(self) -> bool:
        """Whether another job waits for the one under way."""
        return not self._jobs.empty()

    def submit(self, job: Job) -> bool:
        """Have ``job`` run after those already given; False if too many wait already."""
        if self._jobs.qsize() >= WAITING_JOBS:
            return False
        self._jobs.put(job)
        return True

    def insist(self, job: Job) -> None:
        """Have ``job`` run after those already given, however many wait."""
        self._jobs.put(job)

    def stop(self, seconds: float) -> bool:
        """Let the job under way end and forget those that wait; False if it goes on longer."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        if self._is_urgent:
            go_before_others()
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:
                logging.getLogger(__name__).exception("job failed")
                self._failed(error)
