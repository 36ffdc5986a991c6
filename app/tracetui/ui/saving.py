"""Packets written to files while the screen goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Optional

from textual.app import App

from tracetui.errors import Failure
from tracetui.session.recording import output
from tracetui.session.recording.background_file import BackgroundFile
from tracetui.session.recording.export import Pieces
from tracetui.session.text.sanitize import sanitize
from tracetui.ui.screens.confirm import ConfirmScreen

PIECES_AT_ONCE = 50
"""Pieces written before the screen has its turn."""
FILE_CHECK_SECONDS = 0.02
"""Seconds between two checks of a file that has no room."""
SLOW_SECONDS = 2.0
"""Seconds after which a file that takes nothing is reported, once."""


class Saving:
    """The files being written; each outcome is a notice."""

    def __init__(self, app: App[None], say: Callable[[str, str], None]) -> None:
        """``say`` tells the user a sentence, with its severity."""
        self._app = app
        self._say = say
        self._files: list[BackgroundFile] = []

    @property
    def unfinished(self) -> list[str]:
        """The files that are not written to their end."""
        return [file.name for file in self._files]

    def save(self, pieces: Callable[[], Pieces], name: str, description: str) -> None:
        """Write to a file, which is asked about where it holds something already."""
        try:
            path = output.expanded(name)
        except Failure as error:
            self._say(str(error), "error")
        else:
            self._begin(pieces, path, description, overwrite=False)

    def _begin(
        self, pieces: Callable[[], Pieces], name: str, description: str, overwrite: bool
    ) -> None:
        async def write() -> None:
            await self._write(pieces, name, description, overwrite)

        self._app.run_worker(write(), exclusive=False)

    async def _write(
        self, pieces: Callable[[], Pieces], name: str, description: str, overwrite: bool
    ) -> None:
        try:
            file = BackgroundFile(name, overwrite)
        except Failure as error:
            self._say(str(error), "error")
            return
        self._files.append(file)
        await self._wait(file, lambda: file.is_open)
        if file.is_open:
            for number, piece in enumerate(self._with_end(pieces()), start=1):
                await self._wait(file, partial(file.put, piece))
                if file.is_over:
                    break
                if number % PIECES_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await self._wait(file, lambda: False)
        self._files.remove(file)
        self._tell(file, pieces, description)

    def _tell(self, file: BackgroundFile, pieces: Callable[[], Pieces], description: str) -> None:
        if isinstance(file.error, output.Exists):
            self._ask(pieces, file.name, description)
        elif file.error is not None:
            self._say(str(file.error), "error")
        else:
            self._say(f"{description}: written to {file.name}", "information")

    def _ask(self, pieces: Callable[[], Pieces], name: str, description: str) -> None:
        """Ask whether a file is to be written anew."""

        def answer(yes: Optional[bool]) -> None:
            if yes:
                self._begin(pieces, name, description, overwrite=True)

        lines = [name, "", "It exists and is not empty. Its content will be lost."]
        self._app.push_screen(ConfirmScreen("Overwrite the file?", lines), answer)

    async def _wait(self, file: BackgroundFile, is_done: Callable[[], bool]) -> None:
        """Wait until something is done, or the file is over; say where it takes nothing."""
        is_warned = False
        while not (file.is_over or is_done()):
            if not is_warned and time.monotonic() - file.moved > SLOW_SECONDS:
                is_warned = True
                self._say(
                    f"{sanitize(file.name)}: takes no data for now; writing goes on when it does",
                    "warning",
                )
            await asyncio.sleep(FILE_CHECK_SECONDS)

    @staticmethod
    def _with_end(pieces: Pieces) -> Iterator[Optional[str]]:
        yield from pieces
        yield None
