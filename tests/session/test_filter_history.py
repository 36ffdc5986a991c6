"""Filters kept from session to session."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tracetui.errors import Failure
from tracetui.session.user.filter_history import FILTERS_KEPT, FilterHistory, file, load, save


def test_what_was_filtered_by_is_there_the_next_time_oldest_first(tmp_path):
    path = tmp_path / "deep" / "filters"
    history = FilterHistory()
    for one in ("port 53", "tcp", "port 53 "):
        history.remember(one)
    save(path, history)
    assert load(path).filters == ["tcp", "port 53"]
    assert [one.name for one in path.parent.iterdir()] == ["filters"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_sessions_at_once_keep_the_filters_of_both(tmp_path):
    path = tmp_path / "filters"
    path.write_text("old\n")
    one, other = load(path), load(path)
    one.remember("tcp")
    other.remember("udp")
    save(path, one)
    save(path, other)
    assert load(path).filters == ["old", "tcp", "udp"]


def test_the_newest_are_kept_each_on_a_line_of_its_own(tmp_path):
    path = tmp_path / "filters"
    history = FilterHistory()
    for port in range(FILTERS_KEPT + 7):
        history.remember(f"port {port}\nor icmp")
    save(path, history)
    assert len(load(path).filters) == FILTERS_KEPT
    assert load(path).filters[0] == "port 7 or icmp"


def test_a_session_without_a_filter_writes_nothing(tmp_path):
    history = FilterHistory(["tcp"])
    save(tmp_path / "filters", history)
    assert not (tmp_path / "filters").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\0", b"\n\n", None])
def test_a_file_that_is_not_one_of_ours_is_no_error(tmp_path, content):
    path = tmp_path / "filters"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert all(one == one.strip() != "" for one in load(path).filters)


def test_where_it_cant_be_written_that_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    history = FilterHistory()
    history.remember("tcp")
    with pytest.raises(Failure, match="the filters were not saved"):
        save(tmp_path / "file" / "filters", history)


def test_the_file_is_where_the_xdg_specification_has_it(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert file() == Path("/somewhere/tracetui/filters")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/she")
    assert file() == Path("/home/she/.local/state/tracetui/filters")
