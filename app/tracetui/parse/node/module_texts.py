"""Texts about modules: modinfo(8), modules.dep and modules.builtin (kmod), the build options."""

from __future__ import annotations

import re
from typing import Optional

from tracetui.model.node.module import ModuleFacts

_MODINFO_FIELD = re.compile(r"([a-z][a-z0-9_]*):\s*(.*)")
_BUILD_OPTION = re.compile(r"CONFIG_([A-Z0-9_]{1,128})=([ym])$", re.MULTILINE)
_MODINFO_NAMES = ("description", "version", "srcversion", "license", "filename", "depends")


def names_of_files(text: str) -> frozenset[str]:
    """The modules that modules.dep or modules.builtin names; their files' names may have dashes."""
    names = set()
    for line in text.splitlines():
        base = line.partition(":")[0].strip().rpartition("/")[2]
        name, dot, _ = base.partition(".ko")
        if dot:
            names.add(name.replace("-", "_"))
    return frozenset(names)


def options(text: str) -> dict[str, str]:
    """The options of a kernel's .config that are ``y`` or ``m``, without ``CONFIG_``."""
    return dict(_BUILD_OPTION.findall(text))


def loggers(text: str) -> frozenset[str]:
    """The loggers that /proc/net/netfilter/nf_log says a kernel has, of whatever family."""
    loggers: set[str] = set()
    for listed in re.findall(r"\(([^()\s]*)\)", text):
        loggers.update(name for name in listed.split(",") if name)
    return frozenset(loggers)


def facts(
    modinfo: Optional[str], sysfs: dict[str, str], parameters: dict[str, Optional[str]]
) -> ModuleFacts:
    """The details of a module; a value of the loaded one goes before that of its file."""
    fields: dict[str, str] = {}
    for line in (modinfo or "").splitlines():
        field = _MODINFO_FIELD.match(line)
        if field and field[1] in _MODINFO_NAMES:
            fields.setdefault(field[1], field[2].strip())
    needed = fields.get("depends")
    file = fields.get("filename")
    return ModuleFacts(
        description=fields.get("description") or None,
        version=sysfs.get("version") or fields.get("version") or None,
        source_version=sysfs.get("srcversion") or fields.get("srcversion") or None,
        license=fields.get("license") or None,
        file=file if file and file != "(builtin)" else None,
        depends=None
        if needed is None
        else tuple(name.replace("-", "_") for name in needed.split(",") if name),
        parameters=dict(sorted(parameters.items())),
    )
