"""What the session can ask of the collector, and who does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Optional, Protocol

from tracetui.collector.guard.alarm import Alarm
from tracetui.collector.reactor.worker import BOUND, Worker
from tracetui.collector.rules.node_changes import NodeChanges
from tracetui.collector.snapshots.snapshots import Snapshots
from tracetui.errors import Failure
from tracetui.kernel import modprobe
from tracetui.model.node.needs import LOADABLE

QUIET_SECONDS = 10.0


class Asked(Protocol):
    """The receive loop, as far as orders are for it; safe from every thread."""

    def leave(self) -> None:
        """Have everything of ours removed, and end."""
        ...

    def say(self, severity: str, text: str) -> None:
        """Tell the user one sentence."""
        ...

    def relist_soon(self) -> None:
        """Have the rules listed soon."""
        ...


class Orders:
    """Gives each command to who does it; what is no order is left out."""

    def __init__(
        self,
        keeper: NodeChanges,
        worker: Worker,
        remover: Worker,
        snapshots: Snapshots,
        alarm: Alarm,
        loop: Asked,
    ) -> None:
        """``remover`` runs nothing but removals, so that they never wait."""
        self._keeper = keeper
        self._loop = loop
        self._quiet_until = 0.0
        """Monotonic seconds before which it is not said again that orders are left out."""
        # Each command by its name.
        self._orders: dict[str, Callable[[Mapping[str, Any]], Optional[bool]]] = {
            "add": lambda c: worker.submit(partial(keeper.add, c, keeper.removals)),
            "delete": lambda c: worker.submit(partial(keeper.delete, str(c.get("id")))),
            "extend": lambda c: worker.submit(partial(keeper.extend, _ids(c), keeper.removals)),
            "flush": lambda c: self._have_flushed(remover, _ids(c)),
            "count": lambda _: worker.submit(keeper.count),
            "read": lambda _: snapshots.want(),
            "chain": snapshots.list_chain,
            "modprobe": lambda c: worker.submit(partial(self._load, c.get("module"))),
            "arm": lambda _: alarm.arm(),
            "threshold": lambda c: alarm.set_threshold(c.get("value")),
            "quit": lambda _: loop.leave(),
        }

    def obey(self, command: Mapping[str, Any]) -> None:
        """Do what a command says, or have it done, unless too many wait to be done."""
        order = self._orders.get(str(command.get("do")))
        if order is None:
            return
        now = time.monotonic()
        if order(command) is False and now > self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            self._loop.say("error", f"{BOUND} orders wait to be done already; more are left out")

    def _have_flushed(self, remover: Worker, foreign_ids: tuple[str, ...]) -> bool:
        self._keeper.note_removal()
        return remover.submit(partial(self._flush, foreign_ids))

    def _flush(self, foreign_ids: tuple[str, ...]) -> None:
        self._keeper.flush(foreign_ids)
        self._loop.relist_soon()

    def _load(self, name: object) -> None:
        """Load a module, if it is one that tracing needs; the outcome is a notice."""
        if name not in LOADABLE:
            self._loop.say("error", "no module that tracing needs")
            return
        try:
            modprobe.load(str(name))
        except Failure as error:
            self._loop.say("error", str(error))
        else:
            self._loop.say("information", f"loaded {name}")
        self._keeper.count()


def _ids(command: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of rules that a command names."""
    ids = command.get("ids")
    return tuple(map(str, ids)) if isinstance(ids, list) else ()
