"""Three namespaces in a row: a client, a node that forwards, and a server behind it.

    client 10.200.1.2 ── eth0 · node · cali7 ── 10.200.2.2 server
           fd00:c1::2                            fd00:c2::2

The node's routes and rules are what a Kubernetes node has in small; nothing touches the machine's
own namespace, and no address of it is reachable from here.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tracetui.collector.process.owner import Owner, is_dead
from tracetui.errors import CommandFailed, Failure
from tracetui.kernel import netns
from tracetui.lab.ruleset import LabRuleset

CLIENT_SIDE, SERVER_SIDE = "eth0", "cali7"
"""The node's interfaces."""
CLIENT = {4: "10.200.1.2", 6: "fd00:c1::2"}
SERVER = {4: "10.200.2.2", 6: "fd00:c2::2"}
_NODE_ADDRESSES = {
    CLIENT_SIDE: {4: "10.200.1.1", 6: "fd00:c1::1"},
    SERVER_SIDE: {4: "10.200.2.1", 6: "fd00:c2::1"},
}
_PREFIX_LENGTHS = {4: 24, 6: 64}
_NAMESPACE_PREFIX = "tracetui-lab-"
_CALL_SECONDS = 30.0

InsideResult = TypeVar("InsideResult")


class Lab:
    """The namespaces, from entering the context to leaving it; raises Failure.

    Their names carry the process that made them, so that a later lab can remove a dead one's.
    """

    def __init__(self, ruleset: LabRuleset) -> None:
        owner = Owner.this_process()
        self.client, self.node, self.server = (
            f"{_NAMESPACE_PREFIX}{owner}-{role}" for role in ("client", "node", "server")
        )
        self._ruleset = ruleset

    def __enter__(self) -> Lab:
        sweep()
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the namespaces, and with them every rule and interface in them."""
        for name in (self.client, self.node, self.server):
            _delete(name)

    def inside(self, name: str, function: Callable[[], InsideResult]) -> InsideResult:
        """Run ``function`` in one of the namespaces; its result."""
        return netns.call_inside(netns.resolve(name), function)

    def _build(self) -> None:
        for name in (self.client, self.node, self.server):
            _run(["ip", "netns", "add", name])
            _run(["ip", "-n", name, "link", "set", "lo", "up"])
            self.inside(name, _set_kernel_up)
        self._wire(self.client, CLIENT_SIDE, CLIENT)
        self._wire(self.server, SERVER_SIDE, SERVER)
        for command, text in self._ruleset.restores():
            _run(["ip", "netns", "exec", self.node, command], text)

    def _wire(self, far: str, near_name: str, far_address: dict[int, str]) -> None:
        """Join ``far`` to the node with a pair of interfaces, addresses and a default route."""
        peer = ["peer", "name", "eth0", "netns", far]
        _run(["ip", "-n", self.node, "link", "add", near_name, "type", "veth", *peer])
        for name, device, addresses in (
            (self.node, near_name, _NODE_ADDRESSES[near_name]),
            (far, "eth0", far_address),
        ):
            for family, address in addresses.items():
                cidr = f"{address}/{_PREFIX_LENGTHS[family]}"
                _run(["ip", "-n", name, "address", "add", cidr, "dev", device])
            _run(["ip", "-n", name, "link", "set", device, "up"])
        for family, gateway in _NODE_ADDRESSES[near_name].items():
            _run(["ip", "-n", far, f"-{family}", "route", "add", "default", "via", gateway])


def sweep() -> list[str]:
    """Delete the namespaces of labs whose process has ended; their names."""
    paths = netns.NAMED.glob(f"{_NAMESPACE_PREFIX}*") if netns.NAMED.is_dir() else ()
    dead = [
        path.name
        for path in paths
        if is_dead(path.name[len(_NAMESPACE_PREFIX) :].rpartition("-")[0])
    ]
    for name in dead:
        _delete(name)
    return dead


def _set_kernel_up() -> None:
    # Duplicate address detection would keep IPv6 silent for its first second; only the node has
    # routes to forward by.
    for setting in ("ipv6/conf/all/accept_dad", "ipv6/conf/default/accept_dad"):
        Path("/proc/sys/net", setting).write_text("0")
    for setting in ("ipv4/conf/all/forwarding", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", setting).write_text("1")


def _delete(name: str) -> None:
    if (netns.NAMED / name).exists():
        _run(["ip", "netns", "del", name])


def _run(argv: Sequence[str], text: str = "") -> None:
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, timeout=_CALL_SECONDS, check=False
        )
    except OSError as error:
        raise Failure(f"the lab needs {argv[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise CommandFailed(argv, None, "") from None
    if done.returncode:
        raise CommandFailed(argv, done.returncode, done.stderr)
