"""Completion for bash, of version 4 or later, with or without the package bash-completion.

Names of the node are never given to ``compgen -W``, which would expand them: a namespace can be
called ``$(reboot)``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from tracetui.cli.grammar.grammar import (
    FILE_NAMES,
    INTERFACE_NAMES,
    MODULE_NAMES,
    NAMESPACE_NAMES,
    CommandGrammar,
    Value,
)

_SCRIPT = r"""# bash completion for tracetui, made by `tracetui completion bash`

# Takes those of the words that begin as what is typed.
_tracetui_words() {
    local word
    for word; do
        if [[ $word == "$cur"* ]]; then
            COMPREPLY+=("$word")
        fi
    done
}

# Takes the names in a directory, quoted.
_tracetui_names() {
    local path name
    for path in "$1"/*; do
        printf -v name %q "${path##*/}"
        if [[ ${path##*/} == "$cur"* && (-e $path || -L $path) ]]; then
            COMPREPLY+=("$name")
        fi
    done
}

# Takes the names of the loaded modules.
_tracetui_modules() {
    local name rest
    [[ -r /proc/modules ]] || return
    while read -r name rest; do
        _tracetui_words "$name"
    done < /proc/modules
}

# Leaves it to readline, which knows of quotes and blanks.
_tracetui_files() {
    compopt -o default 2> /dev/null
}

_tracetui_namespaces() {
    if [[ $cur == */* ]]; then
        _tracetui_files
    else
        _tracetui_names /run/netns
    fi
}

_tracetui_interfaces() {
    _tracetui_names /sys/class/net
}

# Takes the options of the command.
_tracetui_options() {
    case $command in
@options@
    esac
}

_tracetui() {
    local cur=${COMP_WORDS[COMP_CWORD]} command=tracetui option='' operands=0 i word
    # For bash = is a word of its own.
    [[ $cur == = ]] && cur=
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $option ]]; then
            [[ $word == = ]] || option=
            continue
        fi
        case "$command $word" in
@valued@
                option=$word ;;
@below@
                command="$command $word" ;;
            *' '-?*) ;;
            *) ((operands++)) ;;
        esac
    done
    COMPREPLY=()
    case "$command $option" in
@values@
        *' -'*) return ;;
    esac
    if [[ $cur == -* ]]; then
        _tracetui_options
        return
    fi
    case $command in
@operands@
        *) _tracetui_options ;;
    esac
}

complete -F _tracetui @program@
"""
_BASH_CALLS = {
    FILE_NAMES: "_tracetui_files", NAMESPACE_NAMES: "_tracetui_namespaces",
    INTERFACE_NAMES: "_tracetui_interfaces", MODULE_NAMES: "_tracetui_modules",
}  # fmt: skip


def script(commands: Sequence[CommandGrammar], program: str) -> str:
    """The script; it is sourced. ``program`` is the name whose words it completes."""
    parts = {
        "program": shlex.quote(program),
        "valued": _pattern(
            [f"{command.name} {flag}" for command in commands for flag in command.valued]
        ),
        "below": _pattern(
            [f"{command.name} {word}" for command in commands for word in command.below]
        ),
        "values": "\n".join(_values(commands)),
        "options": "\n".join(_options(commands)),
        "operands": "\n".join(_operands(commands)),
    }
    filled = _SCRIPT
    for name, text in parts.items():
        filled = filled.replace(f"@{name}@", text)
    return filled


def _pattern(words: Sequence[str], indent: int = 12) -> str:
    """A pattern of a case, a word to a line."""
    return " | \\\n".join(f"{' ' * indent}'{word}'" for word in words) + ")"


def _values(commands: Sequence[CommandGrammar]) -> Iterator[str]:
    by_call: dict[str, list[str]] = {}
    for command in commands:
        for option in command.options:
            call = _call(option.value)
            if call:
                by_call.setdefault(call, []).extend(f"{command.name} {f}" for f in option.flags)
    for call, words in by_call.items():
        yield f"{_pattern(words, 8)}\n            {call}\n            return ;;"


def _options(commands: Sequence[CommandGrammar]) -> Iterator[str]:
    for command in commands:
        flags = " ".join(flag for option in command.options for flag in option.flags)
        yield f"        '{command.name}') _tracetui_words {flags} ;;"


def _operands(commands: Sequence[CommandGrammar]) -> Iterator[str]:
    for command in commands:
        if command.below:
            call = f"_tracetui_words {' '.join(command.below)}"
        elif not command.operands:
            continue
        else:
            call = _call(command.operands[0]) or ":"
            if not command.operands[0].repeats:
                call = f"((operands)) || {call}" if call != ":" else call
        yield f"        '{command.name}') {call} ;;"


def _call(value: Value) -> str:
    if value.kind:
        return _BASH_CALLS[value.kind]
    return f"_tracetui_words {' '.join(value.words)}" if value.words else ""
