"""The kernel modules as text and as JSON."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, Optional

from tracetui.errors import Failure
from tracetui.model.modules import Module, ModuleTree
from tracetui.parse import proc_modules
from tracetui.session.inert import inert, inert_json

NO_MODULES = (
    "This kernel has no loadable modules (there is no /proc/modules): what netfilter needs is "
    "built in or missing, and no list can tell which."
)
DEPTH = 12
"""Levels of the tree shown; Used-by can't be circular in a sound kernel, but files may lie."""


def report(text: Optional[str], name: Optional[str], as_json: bool) -> str:
    """What ``tracetui modules`` prints of a /proc/modules text; raises Failure for a wrong name."""
    if text is None:
        if name is not None:
            raise Failure(NO_MODULES)
        return json.dumps({"loadable": False, "modules": []}) if as_json else NO_MODULES
    found = proc_modules.parse(text)
    tree = ModuleTree(found.modules)
    chosen = tree.modules if name is None else [_named(tree, name)]
    if as_json:
        modules = [_module_json(module) for module in chosen]
        value = {"loadable": True, "modules": modules, "skipped": found.skipped}
        return inert_json(json.dumps(value))
    lines = [f"{'MODULE':<36} {'SIZE':>10} {'REFS':>5}  USED BY"]
    for module in chosen:
        lines += _lines(tree, module)
    if found.skipped:
        lines.append(f"{found.skipped} lines could not be read")
    return "\n".join(map(inert, lines))


def size_text(size: int) -> str:
    """A size in KiB, rounded."""
    return f"{(size + 512) // 1024:,} KiB"


def references_text(module: Module) -> str:
    """Its references; a star says that some are held by no module."""
    count = "-" if module.refcount is None else str(module.refcount)
    return f"{count}*" if module.unexplained else count


def note(module: Module) -> str:
    """What is out of the ordinary: state, taint, permanence."""
    parts = [module.state] if module.state not in (None, "Live") else []
    parts += [f"taint {module.taint}"] if module.taint else []
    parts += ["permanent"] if module.permanent else []
    return ", ".join(part for part in parts if part)


def _named(tree: ModuleTree, name: str) -> Module:
    module = tree.find(name)
    if module is None:
        close = difflib.get_close_matches(name, [one.name for one in tree.modules])
        hint = f"did you mean {', '.join(close)}?" if close else "built-in ones are never listed"
        raise Failure(f"no module {name} is loaded; {hint}")
    return module


def _lines(tree: ModuleTree, module: Module) -> Iterator[str]:
    names = ", ".join(user.name for user in tree.users(module))
    held = f"{module.unexplained} held by the kernel or a rule" if module.unexplained else ""
    about = "; ".join(part for part in (names, held, note(module)) if part)
    size, references = size_text(module.size), references_text(module)
    yield f"{module.name:<36} {size:>10} {references:>5}  {about}".rstrip()
    yield from _branches(tree, module, "", (module.name,))


def _branches(
    tree: ModuleTree, module: Module, indent: str, above: tuple[str, ...]
) -> Iterator[str]:
    users = tree.users(module)
    for at, user in enumerate(users):
        is_last = at == len(users) - 1
        yield f"{indent}{'└─' if is_last else '├─'} {user.name}"
        if user.name not in above and len(above) < DEPTH:
            deeper = indent + ("   " if is_last else "│  ")
            yield from _branches(tree, user, deeper, (*above, user.name))


def _module_json(module: Module) -> dict[str, Any]:
    return {
        "name": module.name,
        "size": module.size,
        "refcount": module.refcount,
        "used_by": list(module.used_by),
        "unexplained": module.unexplained,
        "state": module.state,
        "taint": module.taint or None,
        "permanent": module.permanent,
        "netfilter": module.is_netfilter,
    }
