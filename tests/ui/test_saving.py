"""Packets saved to files that exist, are not read, or take nothing: the screen goes on."""

from __future__ import annotations

import asyncio
import os
import threading

from tests.stuck import stuck
from tests.ui.conftest import SEED, Desk

from tracetui.ui import saving


async def save(screen, name: str) -> None:
    """Have everything that is shown saved under a name."""
    await screen.press("ctrl+s")
    screen.app.screen.query_one("#file").value = name
    await screen.press("right", "enter")


async def until(screen, words: str, seconds: float = 20.0) -> None:
    """Wait until something was told."""
    end = asyncio.get_running_loop().time() + seconds
    while not any(words in notice.text for notice in screen.app.notices):
        told = [notice.text for notice in screen.app.notices]
        assert asyncio.get_running_loop().time() < end, told
        await asyncio.sleep(0.02)
        await screen.settle()


async def until_asked(screen) -> None:
    while "Overwrite the file?" not in screen.whole():
        await asyncio.sleep(0.02)
        await screen.settle()


async def test_a_file_that_holds_something_is_asked_about(shown, seed, tmp_path):
    file = tmp_path / "kept"
    file.write_text("what it held")
    async with shown(seed, size=(100, 30)) as screen:
        await save(screen, str(file))
        await until_asked(screen)
        assert "Its content will be lost." in screen.whole()
        await screen.press("n")
        assert file.read_text() == "what it held"
        await save(screen, str(file))
        await until_asked(screen)
        await screen.press("y")
        await until(screen, "written to")
    assert "172.31.47.174:22896" in file.read_text()
    assert "what it held" not in file.read_text()


async def test_a_tilde_is_the_users_home(shown, seed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    async with shown(seed, size=(100, 30)) as screen:
        await save(screen, "~/saved.txt")
        await until(screen, f"written to {tmp_path}/saved.txt")
        await save(screen, "~nobody-by-that-name/saved.txt")
        await until(screen, "there is no user nobody-by-that-name")
    assert [path.name for path in tmp_path.iterdir()] == ["saved.txt"]


async def test_a_fifo_that_nobody_reads_is_said(shown, seed, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    async with shown(seed, size=(100, 30)) as screen:
        await save(screen, str(tmp_path / "fifo"))
        await until(screen, "is a FIFO without a reader; start the reader first")


async def test_a_full_disk_is_said(shown, seed):
    async with shown(seed, size=(100, 30)) as screen:
        await save(screen, "/dev/full")
        await until(screen, "/dev/full: No space left on device")
        assert screen.app.unfinished == []


async def test_a_reader_that_stands_still_holds_no_screen_up(shown, tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "SLOW_SECONDS", 0.2)
    desk = Desk()
    for number in range(150):
        desk.feed(line.replace("ID=26039 ", f"ID={number} ") for line in SEED[:22])
    with stuck("fifo", tmp_path):
        async with shown(desk, size=(100, 30)) as screen:
            await save(screen, str(tmp_path / "fifo"))
            await until(screen, "takes no data for now")
            # Keys are answered meanwhile, and so is the wish to leave.
            await screen.press("question_mark")
            assert "In the packets" in screen.whole()
            await screen.press("escape")
            assert screen.app.unfinished == [str(tmp_path / "fifo")]
            assert len([n for n in screen.app.notices if "takes no data" in n.text]) == 1
            reader = os.open(tmp_path / "fifo", os.O_RDONLY)
            taken = bytearray()

            def read() -> None:
                while piece := os.read(reader, 65536):
                    taken.extend(piece)

            threading.Thread(target=read, daemon=True).start()
            await until(screen, "150 packets as text: written to")
            assert screen.app.unfinished == []
    assert taken.count(b"172.31.47.174:22896") == 150


async def test_a_screen_that_is_left_meanwhile_knows_what_is_unfinished(shown, seed, tmp_path):
    with stuck("fifo", tmp_path):
        async with shown(seed, size=(100, 30)) as screen:
            await save(screen, str(tmp_path / "fifo"))
            while not screen.app.unfinished:
                await asyncio.sleep(0.02)
            app = screen.app
    assert app.unfinished == [str(tmp_path / "fifo")]


async def test_no_thread_to_write_with_is_said(shown, seed, tmp_path, monkeypatch):
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with shown(seed, size=(100, 30)) as screen:
        monkeypatch.setattr(
            "tracetui.session.recording.background_file.threading.Thread.start", start
        )
        await save(screen, str(tmp_path / "saved"))
        monkeypatch.undo()
        await until(screen, "no more threads can be started here")
