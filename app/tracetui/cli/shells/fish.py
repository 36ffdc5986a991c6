"""Completion for fish, of version 3 or later: a ``complete`` for each option and word."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from tracetui.cli.grammar.grammar import (
    FILE_NAMES,
    INTERFACE_NAMES,
    MODULE_NAMES,
    NAMESPACE_NAMES,
    CommandGrammar,
    Option,
    Value,
)

_FISH_HEAD = r"""# fish completion for tracetui, made by `tracetui completion fish`

# Prints the command that is being typed, with the words that call it.
function __tracetui_command
    set -l words (commandline -opc)
    set -e words[1]
    set -l command tracetui
    set -l option ''
    for word in $words
        if test -n "$option"
            set option ''
            continue
        end
        switch "$command $word"
            case @valued@
                set option $word
            case @below@
                set command "$command $word"
        end
    end
    echo $command
end

function __tracetui_at
    test (__tracetui_command) = "$argv"
end

function __tracetui_names
    for path in $argv[1]/*
        string replace -r '.*/' '' -- $path
    end
end

function __tracetui_modules
    test -r /proc/modules
    and string replace -r ' .*' '' < /proc/modules
end

complete -c @program@ -f
"""
_FISH_CALLS = {
    NAMESPACE_NAMES: "(__tracetui_names /run/netns)",
    INTERFACE_NAMES: "(__tracetui_names /sys/class/net)",
    MODULE_NAMES: "(__tracetui_modules)",
}


def script(commands: Sequence[CommandGrammar], program: str) -> str:
    """The script; it is sourced, or lies in a directory of completions as tracetui.fish.

    ``program`` is the name whose words it completes.
    """
    name = shlex.quote(program)
    valued = [f"{command.name} {flag}" for command in commands for flag in command.valued]
    below = [f"{command.name} {word}" for command in commands for word in command.below]
    head = _FISH_HEAD.replace("@valued@", _cases(valued)).replace("@below@", _cases(below))
    head = head.replace("@program@", name)
    summaries = {command.name: command.page.summary for command in commands}
    lines = [line for command in commands for line in _lines(command, summaries, name)]
    return head + "\n".join(lines) + "\n"


def _cases(words: Sequence[str]) -> str:
    return " \\\n                ".join(f"'{word}'" for word in words)


def _lines(command: CommandGrammar, summaries: dict[str, str], program: str) -> Iterator[str]:
    start = f"complete -c {program} -n '__tracetui_at {command.name}'"
    for word in command.below:
        yield f"{start} -a {word} -d {_quoted(summaries[f'{command.name} {word}'])}"
    for option in command.options:
        value = _value(option.value) if option.value.name else ""
        yield f"{start}{_flags(option)}{value} -d {_quoted(option.about)}"
    for operand in command.operands:
        # The option -x is for what an option takes.
        yield f"{start}{_value(operand).replace(' -r', '').replace(' -x', '')}"


def _flags(option: Option) -> str:
    return "".join(
        f" -l {flag[2:]}" if flag.startswith("--") else f" -s {flag[1:]}" for flag in option.flags
    )


def _value(value: Value) -> str:
    if value.kind == FILE_NAMES:
        return " -r -F"
    words = _FISH_CALLS.get(value.kind) or " ".join(value.words)
    return f" -x -a {_quoted(words)}" if words else " -x"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
