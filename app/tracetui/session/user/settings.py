"""The user's settings, colours, layout and keys, in a small JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from tracetui.errors import Failure
from tracetui.session.user import home

SIDE = 40
"""Cells of the modules and rules at the left, unless chosen otherwise."""
SIDE_LEAST, SIDE_MOST = 28, 90
SETTINGS_BYTES = 1 << 20
"""Bytes of the file that are read."""


class Settings(NamedTuple):
    """The settings; every field has a default."""

    theme: Optional[str] = None
    """The name of a theme; None for the usual one."""
    side: int = SIDE
    modules: Optional[bool] = None
    """Whether the modules are shown; None for where they say something."""
    keys: Mapping[str, str] = {}
    """Keys by the name of what they do: ``{"timeline.pause": "space,p"}``."""


class Loaded(NamedTuple):
    """Settings as read, and what of the file made no sense."""

    settings: Settings
    wrong: tuple[str, ...] = ()


def file() -> Path:
    """Path of the settings, by the XDG base directory specification."""
    return home.directory("XDG_CONFIG_HOME", "~/.config") / "settings.json"


def load(path: Path) -> Loaded:
    """Read the settings; what is missing or wrong is as if it had never been chosen."""
    try:
        with path.open(encoding="utf-8") as stream:
            value = json.loads(stream.read(SETTINGS_BYTES))
    except FileNotFoundError:
        return Loaded(Settings())
    except (OSError, ValueError, RecursionError) as error:
        return Loaded(Settings(), (f"{path}: not read: {_why(error)}",))
    if not isinstance(value, dict):
        return Loaded(Settings(), (f"{path}: not read: no JSON object",))
    chosen, wrong = {}, []
    for name in Settings._fields:
        if name not in value:
            continue
        if _is_sound(name, value[name]):
            chosen[name] = value[name]
        else:
            wrong.append(f"{path}: {name}: not a valid value")
    return Loaded(Settings(**chosen), tuple(wrong))


def save(path: Path, settings: Settings) -> None:
    """Write the settings, all at once, beside what else the file has; raises Failure."""
    try:
        value = {**_others(path), **_chosen(settings)}
        home.write(path, json.dumps(value, indent=2) + "\n")
    except OSError as error:
        raise Failure(f"the settings were not saved: {path}: {error.strerror}") from None


def _chosen(settings: Settings) -> dict[str, Any]:
    """Settings that differ from their defaults."""
    usual = Settings()._asdict()
    return {name: value for name, value in settings._asdict().items() if value != usual[name]}


def _others(path: Path) -> dict[str, Any]:
    """Values of the file that are none of these settings."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    is_object = isinstance(value, dict)
    return {k: v for k, v in value.items() if k not in Settings._fields} if is_object else {}


def _is_sound(name: str, value: object) -> bool:
    if name == "theme":
        return isinstance(value, str)
    if name == "modules":
        return isinstance(value, bool)
    if name == "side":
        return type(value) is int and SIDE_LEAST <= value <= SIDE_MOST
    return isinstance(value, dict) and all(isinstance(key, str) for key in value.values())


def _why(error: Exception) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else "no JSON"
