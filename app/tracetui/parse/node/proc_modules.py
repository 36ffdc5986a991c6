"""/proc/modules (proc(5); kernel/module/procfs.c, m_show) and lsmod(8)."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from tracetui.model.node.module import Module

_MODULE_STATES = ("Live", "Loading", "Unloading")
_TAINT = re.compile(r"\(([A-Z+-]+)\)")
_REMOVED = "-1"
"""The references of a module that is being removed (kernel/module/main.c, module_refcount)."""
_DIGITS = 20
"""Of the largest 64-bit number."""
_MODULE_NAME = re.compile(r"[\w.-]+")


class ModuleList(NamedTuple):
    """The modules of a text."""

    modules: list[Module]
    skipped: int
    """Lines that are no module and not lsmod's headline."""


def parse(text: str) -> ModuleList:
    """The modules of /proc/modules or lsmod; lines that can't be read are counted."""
    modules: list[Module] = []
    skipped = 0
    for line in text.splitlines():
        if not line.strip() or line.split()[:2] == ["Module", "Size"]:
            continue
        module = _module(line)
        if module is None:
            skipped += 1
        else:
            modules.append(module)
    return ModuleList(modules, skipped)


def _module(line: str) -> Optional[Module]:
    words = line.split()
    if len(words) < 3 or not _MODULE_NAME.fullmatch(words[0]) or not _is_number(words[1]):
        return None
    if words[2] not in ("-", _REMOVED) and not _is_number(words[2]):
        return None
    users, state, rest = _users(words[3:])
    taint = _TAINT.fullmatch(rest[-1]) if rest else None
    return Module(
        name=words[0],
        size=int(words[1]),
        refcount=None if words[2] == "-" else int(words[2]),
        used_by=tuple(user for user in users if user not in ("-", "[permanent]")),
        state=state,
        taint=taint[1] if taint else "",
        permanent="[permanent]" in users,
    )


def _users(words: list[str]) -> tuple[list[str], Optional[str], list[str]]:
    """The users, the state, and what follows it; copies may have a blank behind a comma."""
    state_at = next((index for index, word in enumerate(words) if word in _MODULE_STATES), None)
    before = words if state_at is None else words[:state_at]
    users = [name for name in ",".join(before).split(",") if name]
    if state_at is None:
        return users, None, []
    return users, words[state_at], words[state_at + 1 :]


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= _DIGITS
