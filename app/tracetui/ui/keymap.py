"""Keys that a user bound to commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from tracetui.ui import key_names
from tracetui.ui.commands import COMMANDS, Command

_COMMAND_NAME = re.compile(r"\{([a-z-]+\.[a-zA-Z-]+)\}")


class Keymap:
    """The keys of each command, the user's where they are valid."""

    def __init__(self, chosen: Mapping[str, str]) -> None:
        """``chosen`` are keys by the name of the command, comma between several."""
        self.wrong: list[str] = []
        """Sentences about keys that can't be bound."""
        self.bound: dict[str, str] = {}
        """The keys that are not the usual ones, as Textual takes them."""
        commands = {command.name: command for command in COMMANDS}
        for name, keys in chosen.items():
            if name not in commands:
                self.wrong.append(f"keys: no command is named {name}")
            elif commands[name].is_fixed:
                self.wrong.append(f"keys: {name} is always {written(commands[name])}")
            else:
                self._bind(name, keys)
        self._say_clashes()

    def written(self, command: Command) -> str:
        """The keys of a command as people write them."""
        bound = self.bound.get(command.name)
        return written(command) if bound is None else key_names.written(bound)

    def with_keys(self, text: str) -> str:
        """Replace each command name in braces by its key.

        ``{main.add-rule} adds one`` is ``a adds one``. What is no command's name stays as it is.
        """
        return _COMMAND_NAME.sub(lambda match: self._key(match[1]) or match[0], text)

    def _key(self, name: str) -> Optional[str]:
        """The first key of a command, as people write it."""
        command = next((candidate for candidate in COMMANDS if candidate.name == name), None)
        return self.written(command).split()[0] if command else None

    def _bind(self, name: str, written_keys: str) -> None:
        split = [","] if written_keys == "," else written_keys.split(",")
        keys = [key_names.read(key.strip() or key) for key in split]
        fixed = {
            key: fixed_command
            for fixed_command in COMMANDS
            if fixed_command.is_fixed
            for key in fixed_command.keys.split(",")
        }
        fixed_command = next((fixed[key] for key in keys if key in fixed), None)
        if not all(keys):
            self.wrong.append(f"keys: {name}: {written_keys!r} is not a key")
        elif fixed_command is not None:
            self.wrong.append(
                f"keys: {name}: {written(fixed_command)} is always {fixed_command.name}"
            )
        else:
            self.bound[name] = ",".join(filter(None, keys))

    def _say_clashes(self) -> None:
        """Report keys that two commands of one pane share."""
        reported: set[frozenset[str]] = set()
        for name, keys in self.bound.items():
            scope = name.partition(".")[0]
            for other in COMMANDS:
                theirs = self.bound.get(other.name, other.keys)
                shared = set(keys.split(",")) & set(theirs.split(","))
                pair = frozenset((name, other.name))
                is_near = other.scope == scope or "main" in (other.scope, scope)
                if len(pair) == 2 and is_near and shared and pair not in reported:
                    reported.add(pair)
                    key = key_names.written(shared.pop())
                    self.wrong.append(f"keys: {key} is bound to both {name} and {other.name}")


def written(command: Command) -> str:
    """The usual keys of a command as people write them."""
    return command.shown or key_names.written(command.keys)
