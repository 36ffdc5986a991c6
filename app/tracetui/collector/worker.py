"""A thread that runs blocking jobs one after the other, so that receiving never waits for them."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Optional

Job = Callable[[], None]


class Worker:
    """Runs jobs in the order they were given; a job that fails is told and does not end it."""

    def __init__(self, name: str, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._jobs: queue.SimpleQueue[Optional[Job]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Have ``job`` run after those already given."""
        self._jobs.put(job)

    def stop(self, seconds: float) -> bool:
        """Let the given jobs end; False if they did not within ``seconds``."""
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:
                logging.getLogger(__name__).exception("job failed")
                self._failed(error)
