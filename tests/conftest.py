"""Fixtures for tests on the real kernel: namespaces of their own, and a look at what is left."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import HealthCheck, settings
from tests.safety_table import SafetyTable

from tracetui.kernel import netns

IN_CI = bool(os.environ.get("CI"))
XTABLES = ("iptables-legacy", "iptables-nft", "ip6tables-legacy", "ip6tables-nft")
STATE = Path("/run/tracetui")
TOOLS = ("ip", "nft", "ping", *XTABLES)

# Started in the background by a shell without job control, pytest ignores SIGINT, and so would all
# that a test starts: what is to end by it would not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test may fail because a machine is slow or shared.
NO_CLOCK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("short", NO_CLOCK)
settings.register_profile("few", NO_CLOCK, max_examples=settings.default.max_examples // 5)
settings.register_profile("long", NO_CLOCK, max_examples=20 * settings.default.max_examples)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip kernel tests where they can't run; in CI they run and fail instead."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if IN_CI or (os.geteuid() == 0 and not missing):
        return
    why = f"missing: {', '.join(missing)}" if missing else "needs root"
    for item in items:
        if item.get_closest_marker("kernel"):
            item.add_marker(pytest.mark.skip(reason=why))


def pytest_configure(config: pytest.Config) -> None:
    """The table of docs/safety.md is compared by the process that began the run."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SafetyTable())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Kernel tests run side by side, but for those that change what all of them rest on."""
    if not request.node.get_closest_marker("kernel"):
        yield
        return
    how = fcntl.LOCK_EX if request.node.get_closest_marker("alone") else fcntl.LOCK_SH
    directory = Path(tempfile.gettempdir())
    with (directory / "tracetui-gate").open("w") as gate:
        with (directory / "tracetui-turn").open("w") as turn:
            # Who waits to be alone holds the gate, so that nobody comes before.
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(turn, how)
            fcntl.flock(gate, fcntl.LOCK_UN)
            yield


@pytest.fixture(autouse=True, scope="session")
def _settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The programs of the tests remember nothing where the user's own would."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(autouse=True)
def xtables_lock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Optional[Path]:
    """The xtables lock of a kernel test, which takes no part in what other tests do."""
    if not request.node.get_closest_marker("kernel"):
        return None
    path = request.getfixturevalue("tmp_path") / "xtables.lock"
    path.touch(0o600)
    monkeypatch.setenv("XTABLES_LOCKFILE", str(path))
    return path


class Namespace:
    """A network namespace of one test."""

    def __init__(self, name: str) -> None:
        self.name = name
        names = netns.call_inside(netns.resolve(name), netns.name_for_ever)
        self._state = STATE / f"nf_log-{names}.json"

    def state_files(self) -> list[str]:
        """What of our state about this namespace lies on the node."""
        return [self._state.name] if self._state.exists() else []

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a command inside; what it printed."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *argv],
            capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{argv}: {done.returncode} {done.stderr}")
        return done.stdout

    def trace_rules(self) -> list[str]:
        """Every TRACE rule of either backend and family, as iptables-save prints it."""
        text = "".join(
            self.run(f"{tool}-{backend}-save", "-t", "raw", check=False)
            for tool in ("iptables", "ip6tables")
            for backend in self._backends(tool)
        )
        return [line for line in text.splitlines() if "-j TRACE" in line]

    def loggers(self) -> dict[int, str]:
        """The nf_log binding of IPv4 and IPv6."""
        lines = [
            line.split() for line in self.run("cat", "/proc/net/netfilter/nf_log").splitlines()
        ]
        return {int(line[0]): line[1] for line in lines if line[0] in ("2", "10")}

    def have_nft_traced(self) -> None:
        """Have nf_tables tell of packets that a legacy rule traces.

        It does so only while a rule anywhere on the machine can set nftrace (the static key
        nft_trace_enabled, net/netfilter/nft_meta.c): this one, which no packet matches.
        """
        self.run("nft", "add table ip tracing")
        self.run("nft", "add chain ip tracing c")
        self.run("nft", "add rule ip tracing c ip saddr 203.0.113.1 meta nftrace set 1")

    def ping(self, count: int = 1, address: str = "127.0.0.1") -> None:
        """Send echo requests over loopback."""
        self.run("ping", "-q", "-c", str(count), "-i", "0.01", "-W", "1", address)

    def _backends(self, tool: str) -> list[str]:
        # Listing a legacy table that is not registered would register it.
        names = f"/proc/net/{tool.removesuffix('s')}_names".replace("iptable_", "ip_tables_")
        names = names.replace("ip6table_", "ip6_tables_")
        return ["nft", *(["legacy"] if "raw" in self.run("cat", names).split() else [])]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """An empty namespace with loopback up; deleted after the test."""
    with _made_namespace() as made:
        yield made


@pytest.fixture
def other_namespace() -> Iterator[Namespace]:
    """A second one."""
    with _made_namespace() as made:
        yield made


@contextmanager
def _made_namespace() -> Iterator[Namespace]:
    name = f"tt-test-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    made = Namespace(name)
    try:
        made.run("ip", "link", "set", "lo", "up")
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
        assert made.state_files() == []


@pytest.fixture
def eventually() -> Callable[[Callable[[], object], float], None]:
    """Wait until something is true, for at most so many seconds."""

    def wait(is_true: Callable[[], object], seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < end, f"not true within {seconds} s"
            time.sleep(0.02)

    return wait
