"""Who is root, and what root touches."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .live import add, live, rule
from .terminal import MARK, PROGRAM, Terminal
from .users import NAME, PASSWORD, UID, as_user

pytestmark = pytest.mark.kernel

RULE = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "legacy")
SCRIPT = Path(sys.executable).with_name("tracetui")
ALTERNATE_SCREEN = b"\x1b[?1049h"


@pytest.fixture
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("user")


def owner_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def ui_of(program: Terminal) -> int:
    """The process that draws: python, and neither the terminal's keeper nor the collector."""
    found = [
        pid
        for pid, name in program.processes().items()
        if name in ("python", "python3", "tracetui")
        and len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    ]
    assert len(found) == 1, program.processes()
    return found[0]


def test_a_user_gives_the_password_before_the_screen_is_taken(faults, home):
    name = faults.namespace.name
    with Terminal("--netns", name, *RULE, mark=name, before=as_user(home)) as program:
        program.wait_for(f"Password for {NAME}: ")
        assert ALTERNATE_SCREEN not in program.raw
        program.type(PASSWORD + "\r")
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        faults.namespace.ping()
        program.wait_for("127.0.0.1")
        assert PASSWORD not in program.text
        assert owner_of(ui_of(program)) == UID
        assert owner_of(program.pid_of("tt-collector")) == 0
        program.type("q")
        program.process.wait(20)
        program.wait_for("removed legacy IPv4 OUTPUT -p icmp")
        faults.leaves_nothing("a user's screen is left", program)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_kills_a_users_screen_leaves_nothing(faults, home, number):
    name = faults.namespace.name
    before = as_user(home, "NOPASSWD: ALL")
    with Terminal("--netns", name, *RULE, mark=name, before=before) as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        os.kill(ui_of(program), number)
        program.process.wait(20)
        faults.leaves_nothing(f"{number.name} to a screen that is not root", program)


def test_the_watchdog_cleans_up_where_the_screen_may_not(faults, home):
    name = faults.namespace.name
    before = as_user(home, "NOPASSWD: ALL")
    with Terminal("--netns", name, *RULE, mark=name, before=before, size=(160, 40)) as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        os.kill(program.pid_of("tt-collector"), signal.SIGKILL)
        faults.leaves_no_rules("SIGKILL to the collector of a screen that is not root")
        program.wait_for("the collector ended")
        program.wait_for("restored nf_log")
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("SIGKILL to the collector of a screen that is not root", program)


def test_both_killed_at_once_leave_nothing(faults):
    name = faults.namespace.name
    with Terminal("--netns", name, *RULE, mark=name) as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        collector = program.pid_of("tt-collector")
        os.kill(program.process.pid, signal.SIGSTOP)
        os.kill(collector, signal.SIGKILL)
        os.kill(program.process.pid, signal.SIGKILL)
        program.process.wait(20)
        faults.leaves_nothing("SIGKILL to screen and collector at once", program)


def test_a_wrong_password_starts_nothing(faults, home):
    name = faults.namespace.name
    with Terminal("--netns", name, *RULE, mark=name, before=as_user(home)) as program:
        for tries in range(1, 4):
            program.wait_for(lambda n=tries: program.text.count("Password for") == n)
            program.type("wrong\r")
        program.process.wait(20)
        program.wait_for("tracing needs root")
        assert ALTERNATE_SCREEN not in program.raw
        assert program.process.returncode == 1
        faults.leaves_nothing("a wrong password", program)


def test_without_sudo_rights_what_needs_no_root_is_shown(faults, home):
    name = faults.namespace.name
    with Terminal(mark=name, before=as_user(home, "/bin/true"), size=(160, 40)) as program:
        program.wait_for(f"Password for {NAME}: ")
        program.type(PASSWORD + "\r")
        program.wait_for("not tracing")
        program.wait_for("is not allowed to execute the collector")
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("no right to sudo", program)


def test_under_sudo_the_screen_becomes_the_invoking_user(faults, home):
    name = faults.namespace.name
    before = (*as_user(home, "NOPASSWD: ALL"), "sudo")
    with Terminal("--netns", name, *RULE, mark=name, before=before) as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        ui = ui_of(program)
        status = Path(f"/proc/{ui}/status").read_text()
        ids = re.findall(r"^[UG]id:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$", status, re.MULTILINE)
        assert set(ids) == {(str(UID),) * 4}
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
        assert re.search(r"^CapPrm:\s+0+$", status, re.MULTILINE)
        assert owner_of(program.pid_of("tt-collector")) == 0
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("sudo tracetui is left", program)


def test_a_recording_under_sudo_belongs_to_the_invoking_user(faults, home):
    file = home / "home" / "trace.ndjson"
    name = faults.namespace.name
    argv = [
        *as_user(home, "NOPASSWD: ALL"), "sudo", *PROGRAM,
        *("--netns", name, "record", *RULE, "--seconds", "1", "-w", str(file)),
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (UID, 0o600)
    faults.leaves_nothing("sudo tracetui record ends")


def test_the_collector_has_no_door_but_its_pipes(faults):
    """No socket that anything can be sent to but netlink's, no file that others can open.

    Legacy tables are read through two sockets that have no port, and are listed nowhere.
    """
    with live(faults.namespace) as session:
        add(session, rule(), "legacy")
        pid = session.collector_pid
        inodes = {
            found[1]
            for fd in Path(f"/proc/{pid}/fd").iterdir()
            if (found := re.fullmatch(r"socket:\[(\d+)\]", str(fd.readlink())))
        }
        netlink = Path(f"/proc/{pid}/net/netlink").read_text()
        others = inodes - {line.split()[-1] for line in netlink.splitlines()}
        assert len(others) == 2
        for kind in ("tcp", "tcp6", "udp", "udp6", "udplite", "raw", "raw6", "unix", "packet"):
            listed = Path(f"/proc/{pid}/net/{kind}").read_text().split()
            assert others.isdisjoint(listed)
        state = Path("/run/tracetui")
        assert state.stat().st_mode & 0o777 == 0o700
        (mine,) = faults.namespace.state_files()
        assert (state / mine).stat().st_mode & 0o777 == 0o600
        written = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        files = [name for name in written if name.startswith("/") and name != "/dev/null"]
        # The lists of legacy tables are read.
        files = [name for name in files if not name.endswith("_tables_names")]
        assert all("(deleted)" in name for name in files), files


def test_the_collector_takes_no_code_from_where_it_is_started(faults, tmp_path):
    """As root in somebody else's directory, whose modules are named like the standard library's."""
    for module in ("selectors", "json", "tracetui", "sitecustomize"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'taken')!r}, 'a')\n")
    name = faults.namespace.name
    done = subprocess.run(
        [str(SCRIPT), "--netns", name, "record", *RULE, "--seconds", "1"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "taken").exists()


def recorded(before: tuple[str, ...], namespace, file, *words: str) -> subprocess.CompletedProcess:
    """``record`` for a second, by a user whom ``before`` makes."""
    argv = [
        *before, *(words or ("sudo", *PROGRAM)),
        *("--netns", namespace.name, "record", *RULE, "--seconds", "1", "-w", str(file)),
    ]  # fmt: skip
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        env={**os.environ, MARK: namespace.name},
    )  # fmt: skip


def test_a_user_whose_group_is_roots_does_not_stay_root(faults, home):
    file = home / "home" / "trace.ndjson"
    done = recorded(as_user(home, "NOPASSWD: ALL", gid=0), faults.namespace, file)
    assert done.returncode == 0, done.stderr
    assert (file.stat().st_uid, file.stat().st_gid) == (UID, 0)
    faults.leaves_nothing("sudo tracetui record ends")


def test_the_screen_of_a_user_whose_group_is_roots_is_not_root(faults, home):
    name = faults.namespace.name
    before = (*as_user(home, "NOPASSWD: ALL", gid=0), "sudo")
    with Terminal("--netns", name, *RULE, mark=name, before=before) as program:
        program.wait_for("guard ARMED")
        status = Path(f"/proc/{ui_of(program)}/status").read_text()
        assert re.search(rf"^Uid:\s+{UID}\s+{UID}\s+{UID}\s+{UID}$", status, re.MULTILINE)
        assert re.search(r"^Cap(Eff|Prm):\s+0+$", status, re.MULTILINE)
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("sudo tracetui is left", program)


def test_a_folder_that_the_user_may_not_enter_is_said(faults, home, tmp_path):
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    done = recorded(as_user(home, "NOPASSWD: ALL"), faults.namespace, shut / "trace.ndjson")
    assert done.returncode == 1
    assert done.stderr == f"tracetui: {shut}/trace.ndjson: Permission denied\n"
    assert not list(shut.iterdir())


def test_a_tilde_is_the_invoking_users_home(faults, home):
    done = recorded(as_user(home, "NOPASSWD: ALL"), faults.namespace, "~/trace.ndjson")
    assert done.returncode == 0, done.stderr
    assert (home / "home" / "trace.ndjson").stat().st_uid == UID
    faults.leaves_nothing("sudo tracetui record ends")


@pytest.fixture
def installed(home) -> Path:
    """The two commands as pip writes them, in a directory of root's."""
    for name, module in (("tracetui", "cli"), ("tracetui-collector", "collector.command")):
        path = home / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"#!{sys.executable}\n"
            f"import sys\nfrom tracetui.{module} import main\nsys.exit(main())\n"
        )
        path.chmod(0o755)
    return home / "bin"


def test_sudoers_can_allow_tracing_alone(faults, home, installed):
    """By a line that names the collector's command, and nothing that python could do beside."""
    before = as_user(home, f"NOPASSWD: {installed}/tracetui-collector")
    file = home / "home" / "trace.ndjson"
    done = recorded(before, faults.namespace, file, str(installed / "tracetui"))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_uid == UID
    assert "added legacy IPv4 OUTPUT -p icmp" in done.stderr
    assert "removed legacy IPv4 OUTPUT -p icmp" in done.stderr
    faults.leaves_nothing("tracing alone is allowed by sudoers")
    # Neither python itself nor the program that draws can be started as root.
    for words in ((sys.executable, "-c", ""), (str(installed / "tracetui"), "rules")):
        refused = subprocess.run(
            [*before, "sudo", "-n", *words], capture_output=True, text=True, timeout=60
        )
        assert "password is required" in refused.stderr


def test_the_collectors_command_takes_no_code_from_its_user(faults, home, installed):
    """Neither from where it is started nor from the environment."""
    theirs, taken = home / "home", home / "home" / "taken"
    theirs.mkdir()
    for module in ("json", "selectors", "sitecustomize"):
        (theirs / f"{module}.py").write_text(f"open({str(taken)!r}, 'a')\n")
    before = as_user(home, f"NOPASSWD: {installed}/tracetui-collector")
    environment = ("env", "-C", str(theirs), f"PYTHONPATH={theirs}", "PYTHONSTARTUP=json.py")
    done = subprocess.run(
        [*before, *environment, "sudo", "-n", str(installed / "tracetui-collector"),
         "--netns", faults.namespace.name],
        capture_output=True, timeout=60, input=b"",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"pid" in done.stdout
    assert not taken.exists()


def test_a_user_whom_sudoers_lets_do_nothing_is_told_so(faults, home, installed):
    done = recorded(
        as_user(home, "NOPASSWD: /bin/true"), faults.namespace, "-", str(installed / "tracetui")
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tracetui: tracing needs root; ")
