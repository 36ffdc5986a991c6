"""Where a recording is written to."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from tracetui.errors import Failure
from tracetui.session.recording import output


def test_a_new_file_is_readable_by_its_owner_only(tmp_path):
    old = os.umask(0)
    try:
        with output.opened(str(tmp_path / "new")) as file:
            file.write("x")
    finally:
        os.umask(old)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_an_old_file_is_overwritten_only_where_that_was_asked_for(tmp_path):
    path = tmp_path / "old"
    path.write_text("a longer text than the new one")
    path.chmod(0o666)
    with pytest.raises(output.Exists, match=r"exists and is not empty; .* --overwrite"):
        with output.opened(str(path)):
            pytest.fail("it was opened")
    assert path.read_text() == "a longer text than the new one"
    with output.opened(str(path), overwrite=True) as file:
        file.write("x")
    assert path.read_text() == "x"
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_empty_file_is_written_unasked(tmp_path):
    """As mktemp(1) makes one."""
    (tmp_path / "empty").touch()
    with output.opened(str(tmp_path / "empty")) as file:
        file.write("x")
    assert (tmp_path / "empty").read_text() == "x"


def test_a_fifo_that_nobody_reads_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert "is a FIFO without a reader; start the reader first" in refused(tmp_path / "fifo")


def test_a_tilde_is_a_home(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert output.expanded("~/trace") == "/somewhere/trace"
    assert output.expanded("~/trace", own="/another") == "/another/trace"
    assert output.expanded("~root/trace", own="/another") == f"{pwd.getpwuid(0).pw_dir}/trace"
    assert output.expanded("a~") == "a~"
    with pytest.raises(Failure, match="there is no user nobody-by-that-name"):
        output.expanded("~nobody-by-that-name/trace")


def test_older_files_of_a_rotation_are_not_pushed_away_unasked(tmp_path):
    name = str(tmp_path / "trace")
    output.refuse_older(name, 3)
    (tmp_path / "trace.3").touch()
    with pytest.raises(output.Exists, match=r"trace\.3: exists from an earlier recording"):
        output.refuse_older(name, 3)
    output.refuse_older(name, 2)


def refused(path: Path) -> str:
    with pytest.raises(Failure) as error, output.opened(str(path)):
        pytest.fail("it was opened")
    return str(error.value)


def test_a_symbolic_link_is_not_followed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("kept")
    link.symlink_to(target)
    assert "symbolic link" in refused(link)
    link.unlink()
    link.symlink_to(tmp_path / "nowhere")
    assert "symbolic link" in refused(link)
    assert target.read_text() == "kept"
    assert not (tmp_path / "nowhere").exists()


def test_a_file_with_another_name_is_left_alone(tmp_path):
    """A hard link to a file that somebody wants overwritten."""
    target = tmp_path / "target"
    target.write_text("kept")
    os.link(target, tmp_path / "link")
    assert "another name" in refused(tmp_path / "link")
    assert target.read_text() == "kept"


@pytest.mark.kernel
def test_a_file_of_somebody_else_is_left_alone(tmp_path):
    """Its owner could read what is written into it."""
    path = tmp_path / "theirs"
    path.write_text("kept")
    os.chown(path, 4711, 4711)
    assert "another user" in refused(path)
    assert path.read_text() == "kept"


def test_devices_and_pipes_are_written_to_as_they_are(tmp_path):
    with output.opened("/dev/null") as file:
        file.write("x")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with output.opened(str(fifo)) as file:
        file.write("x")
    assert os.read(reader, 9) == b"x"
    os.close(reader)
    out, into = os.pipe()
    with output.opened(f"/dev/fd/{into}") as file:
        file.write("y")
    assert os.read(out, 9) == b"y"
    os.close(out)
    os.close(into)


def test_what_is_no_file_is_said(tmp_path):
    assert "Is a directory" in refused(tmp_path)
    assert "No such file" in refused(tmp_path / "no" / "file")
