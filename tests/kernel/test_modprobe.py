"""Modules are loaded by the privileged process: those that tracing needs, and no other."""

from __future__ import annotations

import pytest
from tests.programs import before_others

from tracetui.session.live.live import LiveSession

from .tracing import wait_for

pytestmark = pytest.mark.kernel


@pytest.fixture
def asked(namespace, tmp_path):
    """Asks a collector for a module; what the user is told, and what modprobe was given."""

    def ask(name: str, script: str) -> tuple[str, str]:
        command, log = tmp_path / "modprobe", tmp_path / "given"
        command.write_text(f'#!/bin/sh\necho "$@" >> {log}\n{script}\n')
        command.chmod(0o755)
        session = LiveSession(namespace.name, launcher=before_others(tmp_path))
        told: list[str] = []
        try:
            wait_for(session, lambda: session.is_ready)
            session.load_module(name)
            wait_for(session, lambda: told.extend(n.text for n in session.take_notices()) or told)
        finally:
            session.close()
        return told[0], log.read_text() if log.exists() else ""

    return ask


def test_one_that_tracing_needs_is_loaded(asked):
    assert asked("nf_log_syslog", "exit 0") == ("loaded nf_log_syslog", "-- nf_log_syslog\n")


def test_what_modprobe_says_is_told(asked):
    told, given = asked("xt_TRACE", "echo 'FATAL: Module xt_TRACE not found' >&2; exit 1")
    assert "no module loaded" in told
    assert "FATAL: Module xt_TRACE not found" in told
    assert given == "-- xt_TRACE\n"


@pytest.mark.parametrize("name", ["evil", "-r nf_tables", "../nf_tables", ""])
def test_no_other_is_ever_loaded(asked, name):
    assert asked(name, "exit 0") == ("no module that tracing needs", "")
