"""The one file: it holds everything, runs anywhere, and takes compiled code from nobody else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
import zlib
from importlib.util import MAGIC_NUMBER
from marshal import dumps
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.programs import read_only
from tests.recorded import RECORDINGS
from tests.safety.users import as_user
from tests.terminal import Terminal

ROOT = Path(__file__).parents[1]
SEED = str(RECORDINGS / "seed-eks-forward.log")
NOBODY = 65534
LARGEST_BYTES = 1_700_000
POISONED = "tracetui.cli.commands.completion"
"""A module that a command runs, and nothing else."""
TAKEN = "taken from the cache"
POISON = f"def run(options):\n    print({TAKEN!r})\n    return 0\n"
KEEPING = {"PYTHONDONTWRITEBYTECODE": ""}
"""Has Python write compiled code, whatever it does for the tests."""
TRACE = ("--chain", "OUTPUT", "-4", "-p", "icmp")

pytestmark = pytest.mark.wheel


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """Built once, but where it is there already: for a Python that can't build it."""
    if "TRACETUI_ONEFILE" in os.environ:
        return Path(os.environ["TRACETUI_ONEFILE"])
    path = tmp_path_factory.mktemp("built") / "tracetui.pyz"
    build(path)
    return path


@pytest.fixture
def onefile(built, tmp_path) -> Path:
    """The file in a directory that everybody may read, with a blank in its name."""
    directory = tmp_path / "of a user"
    directory.mkdir()
    for above in (directory, *directory.parents):
        # pytest's own are for root only.
        if above.stat().st_mode & 0o005 != 0o005:
            above.chmod(0o755)
    path = directory / built.name
    path.write_bytes(built.read_bytes())
    return path


class Homes(NamedTuple):
    """Two users' homes, and the words before a command that finds them as theirs."""

    root: Path
    nobody: Path
    before: tuple[str, ...]

    @property
    def cache(self) -> Path:
        """Root's."""
        return cache_below(self.root)


@pytest.fixture
def homes(tmp_path) -> Homes:
    """The password database is another one for the command alone."""
    root, nobody, passwd = tmp_path / "root", tmp_path / "nobody", tmp_path / "passwd"
    root.mkdir(0o700)
    nobody.mkdir(0o700)
    os.chown(nobody, NOBODY, NOBODY)
    passwd.write_text(
        f"root:x:0:0:root:{root}:/bin/sh\nnobody:x:{NOBODY}:{NOBODY}:nobody:{nobody}:/bin/sh\n"
    )
    mount = f'mount --bind {passwd} /etc/passwd && exec "$@"'
    return Homes(root, nobody, ("unshare", "-m", "sh", "-c", mount, "sh"))


def build(path: Path) -> None:
    done = subprocess.run(
        [ROOT / ".ci" / "onefile", path], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **KEEPING, **more}


def ran(
    *words: str | Path, before: tuple[str, ...] = (), env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*before, sys.executable, *words], capture_output=True, encoding="utf-8", timeout=120,
        env=env or environment(), check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def installed(*words: str) -> str:
    """What the program prints that is not in one file."""
    return ran("-m", "tracetui", *words).stdout


def cache_below(home: Path) -> Path:
    return home / ".cache" / "tracetui"


def entry(onefile: Path, module: str) -> str:
    """The name that the compiled code of a module has in a cache."""
    with zipfile.ZipFile(onefile) as archive:
        crc = archive.getinfo(f"{module.replace('.', '/')}.py").CRC
    return f"{module}-{crc:08x}-{MAGIC_NUMBER.hex()}{sys.flags.optimize}"


def poison(
    onefile: Path, home: Path, owner: int = 0, module: str = POISONED, source: str = POISON
) -> Path:
    """Put other code into a user's cache; its file."""
    cache = cache_below(home)
    cache.mkdir(0o700, parents=True, exist_ok=True)
    file = cache / entry(onefile, module)
    code = dumps(compile(source, "poison", "exec"))
    file.write_bytes(zlib.crc32(code).to_bytes(4, "little") + code)
    for path in (cache.parent, cache, file):
        os.chown(path, owner, owner)
    return file


def test_the_same_bytes_are_built_twice_and_they_are_few(built, tmp_path):
    again = tmp_path / "again.pyz"
    build(again)
    assert again.read_bytes() == built.read_bytes()
    assert len(again.read_bytes()) < LARGEST_BYTES


def test_it_holds_the_textual_that_an_installation_has():
    pinned = (ROOT / ".ci" / "onefile.txt").read_text()
    (line,) = [
        line for line in (ROOT / "pyproject.toml").read_text().splitlines() if "textual==" in line
    ]
    assert line.split('"')[1] in pinned


def test_an_older_python_is_told_in_a_line(onefile):
    as_older = "import runpy, sys; sys.version_info = (3, 8, 18); "
    done = ran("-c", f"{as_older} runpy.run_path({str(onefile)!r}, run_name='__main__')")
    assert done.returncode == 1
    assert done.stderr == "tracetui needs Python 3.9 or later; this is Python 3.8\n"


def test_a_fault_needs_no_colours(onefile):
    """Rich would colour the source with a package that is not there."""
    code = f"""
import sys
sys.path.insert(0, {str(onefile)!r})
from rich.console import Console
from rich.traceback import Traceback
try:
    1 / 0
except ZeroDivisionError as error:
    Console().print(Traceback())
    Console().print(Traceback.from_exception(type(error), error, error.__traceback__))
"""
    done = ran("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ZeroDivisionError: division by zero") == 2


@pytest.mark.kernel
@pytest.mark.parametrize("where", ["writable", "read-only", "noexec"])
def test_texts_come_out_of_it(onefile, homes, where):
    """Where nothing can be written, home included, too."""
    before = homes.before
    if where == "read-only":
        before += read_only(str(onefile.parents[1]))
    elif where == "noexec":
        directory = onefile.parent
        mount = f"mount --bind '{directory}' '{directory}' && mount -o remount,bind,noexec "
        before += ("unshare", "-m", "sh", "-c", f"{mount} '{directory}' && exec \"$@\"", "sh")
    for _ in range(2):
        for words in (("--version",), ("man",), ("replay", "--format", "json", SEED)):
            done = ran(onefile, *words, before=before)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == installed(*words)
    assert "a recording of the lab" in ran(onefile, "demo", before=before).stderr
    assert ran(onefile, "doctor", before=before).stdout.startswith("✓")
    assert homes.cache.exists() == (where != "read-only")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_the_file(onefile, shell):
    script = ran(onefile, "completion", shell).stdout
    lines = {line for line in script.splitlines() if "pyz" in line}
    assert {line.replace("tracetui.pyz", "tracetui") for line in lines} <= set(
        installed("completion", shell).splitlines()
    )
    last = {
        "bash": "complete -F _tracetui tracetui.pyz",
        "zsh": "    compdef _tracetui tracetui.pyz",
    }
    assert last.get(shell, "complete -c tracetui.pyz -f") in lines


@pytest.mark.kernel
def test_what_was_compiled_is_kept_for_the_next_start(onefile, homes):
    ran(onefile, "replay", SEED, before=homes.before)
    kept = list(homes.cache.iterdir())
    assert len(kept) > 50
    assert homes.cache.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in kept} == {0o600}
    assert not [one for one in kept if one.name.startswith("new")]
    poison(onefile, homes.root)
    assert ran(onefile, "completion", "bash", before=homes.before).stdout == f"{TAKEN}\n"
    # What the environment calls home is nobody's word.
    elsewhere = {"HOME": str(homes.nobody), "XDG_CACHE_HOME": str(homes.nobody)}
    done = ran(onefile, "completion", "bash", before=homes.before, env=environment(**elsewhere))
    assert done.stdout == f"{TAKEN}\n"


@pytest.mark.kernel
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_stream_stays_closed(onefile, homes, closed):
    before = ("sh", "-c", f'exec "$@" {closed}', "sh")
    for words in (("replay", "-"), ("modules",), ("replay", "/nowhere")):
        expected = ran("-m", "tracetui", *words, before=before)
        for _ in range(2):
            done = ran(onefile, *words, before=(*homes.before, *before))
            assert (done.returncode, done.stdout, done.stderr) == (
                expected.returncode, expected.stdout, expected.stderr
            )  # fmt: skip


@pytest.mark.kernel
def test_python_can_be_asked_to_keep_nothing(onefile, homes):
    env = environment(PYTHONDONTWRITEBYTECODE="1")
    assert ran(onefile, "modules", before=homes.before, env=env).returncode == 0
    assert not homes.cache.exists() or not list(homes.cache.iterdir())


def of_another(file: Path) -> None:
    os.chown(file, NOBODY, NOBODY)


def below_another(file: Path) -> None:
    os.chown(file.parent, NOBODY, NOBODY)


def far_below_another(file: Path) -> None:
    os.chown(file.parents[1], NOBODY, NOBODY)


def in_a_home_of_another(file: Path) -> None:
    os.chown(file.parents[2], NOBODY, NOBODY)


def open_to_others(file: Path) -> None:
    file.parent.chmod(0o750)


def writable_for_others(file: Path) -> None:
    file.chmod(0o620)


def behind_a_link(file: Path) -> None:
    file.parent.rename(file.parents[2] / "elsewhere")
    file.parent.symlink_to(file.parents[2] / "elsewhere")


def far_behind_a_link(file: Path) -> None:
    file.parents[1].rename(file.parents[2] / "elsewhere")
    file.parents[1].symlink_to(file.parents[2] / "elsewhere")


def a_link_itself(file: Path) -> None:
    file.rename(file.parents[2] / "elsewhere")
    file.symlink_to(file.parents[2] / "elsewhere")


def damaged(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 0xFF
    file.write_bytes(data)


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:3])


def a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.kernel
@pytest.mark.parametrize(
    "make",
    [
        of_another, below_another, far_below_another, in_a_home_of_another, open_to_others,
        writable_for_others, behind_a_link, far_behind_a_link, a_link_itself, damaged, cut_short,
        a_directory,
    ],
)  # fmt: skip
def test_nothing_is_taken_that_another_can_have_written(onefile, homes, make):
    file = poison(onefile, homes.root)
    assert ran(onefile, "completion", "bash", before=homes.before).stdout == f"{TAKEN}\n"
    make(file)
    done = ran(onefile, "completion", "bash", before=homes.before)
    assert (done.returncode, done.stderr) == (0, "")
    assert "complete -F _tracetui tracetui.pyz" in done.stdout


@pytest.mark.kernel
def test_a_root_that_acts_as_a_user_takes_nothing_of_theirs(onefile, homes):
    """It will be root again; one that has become the user for good has the user's rights only."""
    poison(onefile, homes.nobody, NOBODY)
    code = f"""
import importlib, os, runpy, sys
sys.argv, sys.stdout = [{str(onefile)!r}, "--version"], open(os.devnull, "w")
try:
    runpy.run_path({str(onefile)!r}, run_name="__main__")
except SystemExit:
    sys.stdout = sys.__stdout__
def is_taken():
    sys.modules.pop({POISONED!r}, None)
    return not hasattr(importlib.import_module({POISONED!r}), "commands")
as_root = is_taken()  # also, what it needs of Python is there
os.seteuid({NOBODY})
as_user = is_taken()
os.seteuid(0)
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
print(as_root, as_user, is_taken())
"""
    done = ran("-c", code, before=homes.before)
    assert done.stdout == "False False True\n", done.stderr


@pytest.mark.kernel
def test_too_many_entries_are_removed(onefile, homes):
    homes.cache.mkdir(0o700, parents=True)
    for number in range(2001):
        (homes.cache / f"old-{number}").touch()
    ran(onefile, "modules", before=homes.before)
    names = [one.name for one in homes.cache.iterdir()]
    assert names
    assert not [name for name in names if name.startswith("old")]


@pytest.mark.kernel
def test_the_collector_is_that_of_the_file(onefile, homes, namespace):
    for module in ("tracetui.collector.__main__", "tracetui.collector.collector"):
        poison(onefile, homes.root, module=module, source="raise SystemExit(3)")
    words = ("record", "--netns", namespace.name, *TRACE, "--seconds", "0.5")
    done = ran(onefile, *words, before=homes.before)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["kind"] == "bye"
    poison(onefile, homes.root, module="tracetui.collector.command", source="raise SystemExit(3)")
    collector = onefile.with_name("tracetui-collector")
    collector.symlink_to(onefile.name)
    inside = ("ip", "netns", "exec", namespace.name)
    done = ran(collector, "--sweep", before=(*homes.before, *inside))
    assert (done.returncode, done.stderr) == (0, "")
    assert "kind" not in done.stdout


@pytest.mark.kernel
def test_a_trace_is_recorded_and_its_rules_are_gone(onefile, homes, namespace, eventually):
    with subprocess.Popen(
        [*homes.before, sys.executable, onefile, "record", "--netns", namespace.name, *TRACE,
         "--packets", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        eventually(namespace.trace_rules, 30.0)
        namespace.ping(count=3)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    records = [json.loads(line) for line in out.splitlines()]
    packets = [one for one in records if one["kind"] == "packet"]
    assert len({one["id"] for one in packets}) >= 2
    assert any("-j TRACE" in str(one["hops"]) for one in packets)
    assert namespace.trace_rules() == []


@pytest.mark.kernel
@pytest.mark.parametrize("victim", ["session", "collector"])
def test_nothing_is_left_by_what_is_killed(onefile, homes, namespace, eventually, victim):
    words, program = ("--netns", namespace.name, *TRACE), (sys.executable, str(onefile))
    with Terminal(*words, before=homes.before, program=program) as terminal:
        eventually(namespace.trace_rules, 30.0)
        killed = terminal.process.pid if victim == "session" else terminal.pid_of("tt-collector")
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: namespace.trace_rules() == [], 30.0)
        if victim == "session":
            terminal.process.wait(10)
            terminal.wait_for("the screen was killed")
            eventually(lambda: terminal.modes_left() == [], 10.0)
            eventually(lambda: not terminal.processes(), 30.0)


@pytest.mark.kernel
def test_the_demo_draws_its_first_picture(onefile, homes):
    program = (sys.executable, str(onefile))
    with Terminal("demo", before=homes.before, program=program) as terminal:
        terminal.wait_for("Packets", 60.0)
        terminal.press("?", 1.0)
        terminal.wait_for("Everywhere")
        terminal.press("\x1b", 1.0)
        terminal.type("q")
        assert b"Traceback" not in terminal.end()
    assert terminal.process.returncode == 0


@pytest.mark.kernel
def test_it_runs_for_a_user_who_may_not_read_it(onefile, homes, namespace, eventually):
    """As sudo starts what lies in a home of mode 0700: root is given up in the middle."""
    onefile.parent.chmod(0o700)
    env = environment(SUDO_UID=str(NOBODY), SUDO_GID=str(NOBODY))
    done = ran(onefile, "replay", "--format", "json", SEED, before=homes.before, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == installed("replay", "--format", "json", SEED)
    program, environ = (sys.executable, str(onefile)), {"SUDO_UID": str(NOBODY), "SUDO_GID": "0"}
    for words in (("replay", SEED), ("--netns", namespace.name, *TRACE), ("demo",)):
        with Terminal(*words, env=environ, before=homes.before, program=program) as terminal:
            terminal.wait_for("Packets", 60.0)
            terminal.press("?", 1.0)
            terminal.wait_for("Everywhere")
            terminal.press("\x1b", 1.0)
            terminal.type("q")
            assert b"Traceback" not in terminal.end()
        assert terminal.process.returncode == 0
    assert namespace.trace_rules() == []


@pytest.mark.kernel
def test_a_user_traces_through_sudo(onefile, namespace, eventually, tmp_path_factory):
    """The collector is root's and comes out of the user's file, the screen is the user's."""
    home = tmp_path_factory.mktemp("user")
    words, program = ("--netns", namespace.name, *TRACE), (sys.executable, str(onefile))
    before = as_user(home, "NOPASSWD: ALL")
    for _ in range(2):
        with Terminal(*words, before=before, env=KEEPING, program=program) as terminal:
            eventually(namespace.trace_rules, 30.0)
            namespace.ping()
            terminal.wait_for("127.0.0.1")
            terminal.type("q")
            terminal.process.wait(30)
        assert terminal.process.returncode == 0
        eventually(lambda: namespace.trace_rules() == [], 10.0)
    kept = list(cache_below(home / "home").iterdir())
    assert kept
    assert {one.stat().st_uid for one in kept} == {(home / "home").stat().st_uid}


@pytest.mark.kernel
def test_every_module_can_be_imported_after_root_was_given_up(onefile, homes):
    onefile.parent.chmod(0o700)
    code = f"""
import importlib, os, runpy, sys, zipfile
sys.argv, sys.stdout = [{str(onefile)!r}, "--version"], open(os.devnull, "w")
try:
    runpy.run_path({str(onefile)!r}, run_name="__main__")
except SystemExit:
    sys.stdout = sys.__stdout__
import tracetui.cli.terminal.screen
from tracetui.cli.start import late
names = [
    name[:-3].replace("/", ".").removesuffix(".__init__")
    for name in zipfile.ZipFile({str(onefile)!r}).namelist()
    if name.endswith(".py") and not name.endswith("__main__.py")
]
unread = []
late.give_up_root()
assert os.getresuid() == ({NOBODY},) * 3
try:
    open({str(onefile)!r}).close()
except PermissionError:
    unread.append("the file itself")
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            unread.append(name)
    except ImportError as error:
        if "win" not in name:
            unread.append(str(error))
print(*unread)
"""
    env = environment(SUDO_UID=str(NOBODY), SUDO_GID=str(NOBODY))
    done = ran("-c", code, before=homes.before, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "the file itself"
