"""Keys that a user bound otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from tracetui.ui import key_names
from tracetui.ui.commands import COMMANDS, Command

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
            if name not in commands:
                self.wrong.append(f"keys: nothing is named {name}")
            elif commands[name].is_fixed:
                self.wrong.append(f"keys: {name} is always {written(commands[name])}")
            else:
                self._bind(name, keys)
        self._say_clashes()

    def written(self, command: Command) -> str:
        """The keys of a command as people write them."""
        bound = self.bound.get(command.name)
        return written(command) if bound is None else key_names.written(bound)

    def told(self, text: str) -> str:
        """A text with the present key in the place of each command's name in braces.

        ``{main.add-rule} adds one`` is ``a adds one``. What is no command's name stays as it is.
        """
        return _NAME.sub(lambda found: self._key(found[1]) or found[0], text)

    def _key(self, name: str) -> Optional[str]:
        """The first key of a command, as people write it."""
        command = next((one for one in COMMANDS if one.name == name), None)
        return self.written(command).split()[0] if command else None

    def _bind(self, name: str, written_keys: str) -> None:
        split = [","] if written_keys == "," else written_keys.split(",")
        keys = [key_names.read(key.strip() or key) for key in split]
        fixed = {key: one for one in COMMANDS if one.is_fixed for key in one.keys.split(",")}
        taken = next((fixed[key] for key in keys if key in fixed), None)
        if not all(keys):
            self.wrong.append(f"keys: {name}: {written_keys!r} is no key")
        elif taken is not None:
            self.wrong.append(f"keys: {name}: {written(taken)} is always {taken.name}")
        else:
            self.bound[name] = ",".join(filter(None, keys))

    def _say_clashes(self) -> None:
        """Two commands on one key in one place: only one of them can be meant by it."""
        said: set[frozenset[str]] = set()
        for name, keys in self.bound.items():
            scope = name.partition(".")[0]
            for other in COMMANDS:
                theirs = self.bound.get(other.name, other.keys)
                shared = set(keys.split(",")) & set(theirs.split(","))
                pair = frozenset((name, other.name))
                is_near = other.scope == scope or "main" in (other.scope, scope)
                if len(pair) == 2 and is_near and shared and pair not in said:
                    said.add(pair)
                    key = key_names.written(shared.pop())
                    self.wrong.append(f"keys: {key} is {name} and {other.name}")


def written(command: Command) -> str:
    """The usual keys of a command as people write them."""
    return command.shown or key_names.written(command.keys)
