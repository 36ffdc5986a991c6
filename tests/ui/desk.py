"""A session and a node that a test hands out; mypy holds them against what the program expects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from tests.recorded import hop_of, put

from tracetui.kernel.module_files import ModuleDetails, ModuleFiles
from tracetui.model.trace.assembler import Assembler
from tracetui.protocol.commands import (
    AddRules,
    ArmGuard,
    Command,
    DeleteRule,
    ExtendRules,
    Flush,
    LoadModule,
    SetThreshold,
)
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.sent_command import SentCommand
from tracetui.session.state.session import POLL_SECONDS, Node, Session, Status

NODE = Node(
    backends=("nft", "legacy"),
    backend="nft",
    why="38 rules in nft, 20 in legacy",
    commands={
        f"{backend}/{family}": f"{name}-{backend}"
        for backend in ("nft", "legacy")
        for family, name in ((4, "iptables"), (6, "ip6tables"))
    },
    rules={"nft": 38, "legacy": 20},
    tag="tracetui:1.2.3",
)


NAMES: dict[type[Command], str] = {
    AddRules: "add", DeleteRule: "delete", ExtendRules: "extend", Flush: "flush",
    ArmGuard: "arm", SetThreshold: "threshold", LoadModule: "load",
}  # fmt: skip
"""Of commands, as tests write them."""


class Desk(ReplaySession):
    """A session that looks live: the test feeds it lines, and every command is written down."""

    def __init__(self) -> None:
        super().__init__([])
        self.status = Status(host="node-7", node=NODE)
        self.ended = False
        self.orders: list[tuple[object, ...]] = []
        self._assemble = Assembler()

    def feed(self, lines: Iterable[str]) -> None:
        """Take in lines of a log, each a hop."""
        for line in lines:
            hop = hop_of(line)
            assert hop is not None, line
            self.packets.took(put(self._assemble, hop))

    def poll(self, seconds: float = POLL_SECONDS) -> bool:
        """Tell that something changed."""
        return True

    def _refused(self, command: Command) -> SentCommand:
        """Write the command down in place of refusing it."""
        values = command[0] if isinstance(command, (ExtendRules, Flush)) else command
        self.orders.append((NAMES[type(command)], *values))
        return SentCommand(len(self.orders), command)


def as_session(desk: Desk) -> Session:
    """Return a desk as what the program takes it for: checked by mypy, not by a test."""
    return desk


class ModuleTexts(ModuleFiles):
    """A node's texts about its modules: the list of one node, and what else a test gives."""

    def __init__(
        self,
        listing: Optional[str],
        on_disk: Optional[str] = None,
        built_in: Optional[str] = None,
        details: Optional[ModuleDetails] = None,
    ) -> None:
        super().__init__(Path("/nowhere"))
        self.listing = listing
        self._on_disk, self._built_in = on_disk, built_in
        self._details = details or ModuleDetails(None, {}, {})

    def modules(self) -> Optional[str]:
        """Return the list that the test gave."""
        return self.listing

    def on_disk(self) -> Optional[str]:
        """Return modules.dep as the test gave it."""
        return self._on_disk

    def built_in(self) -> Optional[str]:
        """Return modules.builtin as the test gave it."""
        return self._built_in

    def details(self, name: str) -> ModuleDetails:
        """Return the same for every module."""
        return self._details
