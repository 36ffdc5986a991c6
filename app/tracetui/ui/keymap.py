"""Keys that a user bound otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from tracetui.ui.commands import COMMANDS, Command

_KEY = re.compile(r"(ctrl\+|shift\+|alt\+)*([a-z][a-z0-9_]*|[!-~])", re.IGNORECASE)

_NAME = re.compile(r"\{([a-z-]+\.[a-zA-Z-]+)\}")


class Keymap:
    """The keys of each command, the user's where they make sense."""

    def __init__(self, chosen: Mapping[str, str]) -> None:
        """``chosen`` are keys by the name of the command, comma between several."""
        self.wrong: list[str] = []
        """What of them makes no sense, in sentences."""
        self.bound: dict[str, str] = {}
        """The keys that are not the usual ones, as Textual takes them."""
        commands = {command.name: command for command in COMMANDS}
        for name, keys in chosen.items():
            split = keys.split(",") if keys != "," else []
            if name not in commands:
                self.wrong.append(f"keys: nothing is named {name}")
            elif commands[name].is_fixed:
                self.wrong.append(f"keys: {name} is always {written(commands[name])}")
            elif not split or not all(_KEY.fullmatch(key) for key in split):
                self.wrong.append(f"keys: {name}: {keys!r} is no key")
            else:
                self.bound[name] = keys
        self._say_clashes()

    def written(self, command: Command) -> str:
        """The keys of a command as people write them."""
        bound = self.bound.get(command.name)
        return written(command) if bound is None else _written(bound)

    def told(self, text: str) -> str:
        """A text with the present key in the place of each command's name in braces.

        ``{main.add-rule} adds one`` is ``a adds one``. What is no command's name stays as it is.
        """
        return _NAME.sub(lambda found: self._key(found[1]) or found[0], text)

    def _key(self, name: str) -> Optional[str]:
        """The first key of a command, as people write it."""
        command = next((one for one in COMMANDS if one.name == name), None)
        return self.written(command).split()[0] if command else None

    def _say_clashes(self) -> None:
        """Two commands of one scope on one key: the one that was bound by the user has it."""
        for name, keys in list(self.bound.items()):
            scope = name.partition(".")[0]
            for other in COMMANDS:
                theirs = self.bound.get(other.name, other.keys)
                is_near = other.scope in (scope, "anywhere")
                shared = set(keys.split(",")) & set(theirs.split(","))
                if other.name != name and is_near and shared:
                    self.wrong.append(f"keys: {shared.pop()} is {name} and {other.name}")


def written(command: Command) -> str:
    """The usual keys of a command as people write them."""
    return command.shown or _written(command.keys)


def _written(keys: str) -> str:
    return " ".join(_NAMES.get(key, _combined(key)) for key in keys.split(","))


def _combined(key: str) -> str:
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    if not modifiers:
        return last
    return "+".join([*(one.capitalize() for one in modifiers), last.upper()])


_NAMES = {
    "enter": "Enter", "space": "Space", "tab": "Tab", "escape": "Esc", "slash": "/",
    "backslash": "\\", "question_mark": "?", "up": "↑", "down": "↓", "left": "←", "right": "→",
    "less_than_sign": "<", "greater_than_sign": ">", "pageup": "PgUp", "pagedown": "PgDn",
    "home": "Home", "end": "End", "delete": "Del", "backspace": "Backspace",
}  # fmt: skip
