"""The kernel modules as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Optional

from tracetui.errors import Failure
from tracetui.model.node.module import BUILT_IN_STATE, Module, ModuleFacts, ModuleTree
from tracetui.model.node.needs import LOADED, MISSING, ON_DISK, UNKNOWN, Need
from tracetui.session.node.module_reader import ModuleListing, ModuleReader
from tracetui.session.text.sanitize import sanitize, sanitize_json

NO_MODULES = (
    "This kernel has no loadable modules (there is no /proc/modules): netfilter's parts are "
    "built in or missing. Only some of the built-in ones can be listed."
)
PRINTED_LEVELS = 12
"""Levels of the tree shown; Used-by can't be circular in a sound kernel, but files may lie."""
HELD_OTHERWISE = "held by the kernel or a rule"


def report(reader: ModuleReader, name: Optional[str], order: str, as_json: bool) -> str:
    """The output of ``tracetui modules``; raises TracetuiError, also for a wrong name."""
    listing = reader.read()
    tree = listing.tree
    chosen = tree.sorted_by(order) if name is None else [_named(reader, listing, name)]
    facts = None if name is None else reader.facts(chosen[0])
    if as_json:
        return sanitize_json(json.dumps(_json(listing, chosen, facts)))
    lines = [] if listing.is_loadable or name is not None else [NO_MODULES, ""]
    if chosen:
        lines.append(f"{'MODULE':<36} {'SIZE':>10} {'REFS':>5}  USED BY")
    for module in chosen:
        lines += _lines(tree, module)
    if facts is not None:
        lines += ["", *about(tree, chosen[0], facts)]
    else:
        lines += ["", "TRACING NEEDS", *map(need_text, listing.needs)]
    if listing.skipped:
        lines.append(f"{listing.skipped} lines could not be read")
    return "\n".join(map(sanitize, lines))


def size_text(size: int) -> str:
    """A size in KiB, rounded."""
    return f"{(size + 512) // 1024:,} KiB"


def references_text(module: Module) -> str:
    """A module's references; a star means that some are held by no module."""
    count = "-" if module.refcount is None else str(module.refcount)
    return f"{count}*" if module.unexplained else count


def note(module: Module) -> str:
    """Remarks on a module: unusual state, taint, permanence."""
    parts = [module.state.lower()] if module.state not in (None, "Live") else []
    parts += [f"taint {module.taint}"] if module.taint else []
    parts += ["permanent"] if module.permanent else []
    return ", ".join(part for part in parts if part)


def about(tree: ModuleTree, module: Module, facts: ModuleFacts) -> Iterator[str]:
    """Everything that is known of a module, a line each, in both directions."""
    needed = [module_or_name.name for module_or_name in tree.needs(module)]
    unmet = [
        module_or_name for module_or_name in facts.depends or () if module_or_name not in needed
    ]
    missing = f"not listed: {', '.join(unmet)}" if unmet else ""
    held = f"{module.unexplained} {HELD_OTHERWISE}" if module.unexplained else ""
    users = ", ".join(module_or_name.name for module_or_name in tree.users(module))
    fields = {
        "description": facts.description,
        "state": (module.state or "").lower() or None,
        "size": size_text(module.size) if module.size else None,
        "references": None if module.refcount is None else str(module.refcount),
        "used by": None if module.is_built_in else joined(users, held),
        "depends on": None if module.is_built_in else joined(", ".join(needed), missing),
        "version": facts.version,
        "srcversion": facts.source_version,
        "license": facts.license,
        "taint": module.taint or None,
        "file": facts.file,
    }
    for name, value in fields.items():
        if value is not None:
            yield f"{name:<12} {value}"
    for parameter, value in facts.parameters.items():
        yield f"{'parameter':<12} {parameter} = {'(root only)' if value is None else value}"


def joined(*parts: str) -> str:
    """Parts that are there behind each other, or that there is nothing."""
    return "; ".join(part for part in parts if part) or "nothing"


def need_text(need: Need) -> str:
    """A part of what tracing needs on one line, its mark first."""
    return f"{mark_of(need)} {need.part.name:<15} {need_state(need):<32} {need.part.what_for}"


def mark_of(need: Need) -> str:
    """Whether a part is there, at a glance."""
    return "✓" if need.is_there else {ON_DISK: "○", MISSING: "✗"}.get(need.state, "?")


def need_state(need: Need) -> str:
    """State of a part that tracing needs, with the command that loads it."""
    texts: dict[str, Callable[[], str]] = {
        LOADED: lambda: f"loaded ({need.module})",
        ON_DISK: lambda: f"not loaded; modprobe {need.module}",
        MISSING: lambda: f"missing ({need.module})",
        UNKNOWN: lambda: f"not known ({need.module})",
    }
    return texts.get(need.state, lambda: need.state)()


def _named(reader: ModuleReader, listing: ModuleListing, name: str) -> Module:
    module = listing.tree.find(name)
    if module is not None:
        return module
    state = reader.state_of_name(name)
    if state == BUILT_IN_STATE:
        raise Failure(f"{name} is built into this kernel; nothing more is known of it")
    if state == ON_DISK:
        raise Failure(f"{name} is not loaded; `modprobe {name}` loads it")
    from difflib import get_close_matches

    close = get_close_matches(name, [one.name for one in listing.tree.modules])
    hint = f"did you mean {', '.join(close)}?" if close else "built-in ones are not always listed"
    if state == MISSING:
        hint = hint if close else "none of this kernel's files has that name"
    elif not listing.is_loadable:
        hint = f"{hint}. {NO_MODULES}"
    raise Failure(f"{name} is not known: no module of that name is loaded; {hint}")


def _lines(tree: ModuleTree, module: Module) -> Iterator[str]:
    names = ", ".join(user.name for user in tree.users(module))
    held = f"{module.unexplained} {HELD_OTHERWISE}" if module.unexplained else ""
    users = "; ".join(part for part in (names, held, note(module)) if part)
    size = size_text(module.size) if module.size else "-"
    yield f"{module.name:<36} {size:>10} {references_text(module):>5}  {users}".rstrip()
    yield from _branches(tree, module, "", (module.name,))


def _branches(
    tree: ModuleTree, module: Module, indent: str, above: tuple[str, ...]
) -> Iterator[str]:
    users = tree.users(module)
    for index, user in enumerate(users):
        is_last = index == len(users) - 1
        yield f"{indent}{'└─' if is_last else '├─'} {user.name}"
        if user.name not in above and len(above) < PRINTED_LEVELS:
            deeper = indent + ("   " if is_last else "│  ")
            yield from _branches(tree, user, deeper, (*above, user.name))


def _json(
    listing: ModuleListing, chosen: list[Module], facts: Optional[ModuleFacts]
) -> dict[str, Any]:
    return {
        "loadable": listing.is_loadable,
        "modules": [_module_json(listing.tree, module, facts) for module in chosen],
        "needs": [
            {
                "name": need.part.name,
                "state": need.state,
                "module": need.module,
                "for": need.part.what_for,
            }
            for need in listing.needs
        ],
        "skipped": listing.skipped,
    }


def _module_json(tree: ModuleTree, module: Module, facts: Optional[ModuleFacts]) -> dict[str, Any]:
    value: dict[str, Any] = {
        "name": module.name,
        "size": module.size or None,
        "refcount": module.refcount,
        "used_by": list(module.used_by),
        "depends_on": [one.name for one in tree.needs(module)],
        "unexplained": module.unexplained,
        "state": module.state,
        "taint": module.taint or None,
        "permanent": module.permanent,
        "netfilter": module.is_netfilter,
    }
    if facts is not None:
        value.update(
            description=facts.description,
            version=facts.version,
            srcversion=facts.source_version,
            license=facts.license,
            file=facts.file,
            parameters=dict(facts.parameters),
        )
    return value
