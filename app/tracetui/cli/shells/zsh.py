"""Completion for zsh (zshcompsys(1)): a function for each command, by ``_arguments``."""

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

_ZSH_HEAD = r"""#compdef @program@
# zsh completion for tracetui, made by `tracetui completion zsh`

_tracetui_names() {
    local -a names=($2/*(N:t))
    local expl
    _wanted names expl $1 compadd -a names
}

_tracetui_namespaces() {
    if [[ $PREFIX == */* ]]; then
        _files
    else
        _tracetui_names 'network namespace' /run/netns
    fi
}

_tracetui_interfaces() {
    _tracetui_names interface /sys/class/net
}

_tracetui_modules() {
    [[ -r /proc/modules ]] || return
    local -a names=(${${(f)"$(< /proc/modules)"}%% *})
    local expl
    _wanted modules expl 'kernel module' compadd -a names
}
"""
_ZSH_TAIL = r"""
if [[ $funcstack[1] == _tracetui ]]; then
    _tracetui "$@"
else
    compdef _tracetui @program@
fi
"""
_ZSH_CALLS = {
    FILE_NAMES: "_files", NAMESPACE_NAMES: "_tracetui_namespaces",
    INTERFACE_NAMES: "_tracetui_interfaces", MODULE_NAMES: "_tracetui_modules",
}  # fmt: skip


def script(commands: Sequence[CommandGrammar], program: str) -> str:
    """The script; it is sourced, or lies in a directory of $fpath as _tracetui.

    ``program`` is the name whose words it completes.
    """
    name = shlex.quote(program)
    head, tail = (text.replace("@program@", name) for text in (_ZSH_HEAD, _ZSH_TAIL))
    summaries = {command.name: command.page.summary for command in commands}
    functions = ["\n".join(_function(command, summaries)) for command in reversed(commands)]
    return "\n".join([head, *functions, tail])


def _function(command: CommandGrammar, summaries: dict[str, str]) -> Iterator[str]:
    specs = [spec for option in command.options for spec in _option(option)]
    if command.below:
        specs += ["1: :->command", "*:: :->rest"]
    specs += [_operand(at, value) for at, value in enumerate(command.operands, 1)]
    yield f"{_name(command.name)}() {{"
    yield "    local curcontext=$curcontext state line ret=1"
    yield "    local -A opt_args"
    yield "    _arguments -C : \\"
    yield from (f"        {_quoted(spec)} \\" for spec in specs)
    yield "        && ret=0"
    if command.below:
        yield from _below(command, summaries)
    yield "    return ret"
    yield "}\n"


def _below(command: CommandGrammar, summaries: dict[str, str]) -> Iterator[str]:
    yield "    case $state in"
    yield "        command)"
    yield "            local -a commands=("
    for word in command.below:
        summary = summaries[f"{command.name} {word}"]
        yield f"                {_quoted(f'{word}:{summary}')}"
    yield "            )"
    yield "            _describe -t commands command commands && ret=0 ;;"
    yield "        rest)"
    yield "            case $words[1] in"
    for word in command.below:
        yield f"                {word}) {_name(f'{command.name} {word}')} && ret=0 ;;"
    yield "            esac ;;"
    yield "    esac"


def _option(option: Option) -> Iterator[str]:
    """The specification of an option, for each of its names."""
    others = f"({' '.join(option.flags)})" if len(option.flags) > 1 else ""
    for flag in option.flags:
        joined = ("=" if flag.startswith("--") else "+") if option.value.name else ""
        value = f":{_message(option.value.name)}:{_action(option.value)}" if joined else ""
        before = "*" if option.repeats else others
        yield f"{before}{flag}{joined}[{_explanation(option.about)}]{value}"


def _operand(position: int, value: Value) -> str:
    return f"{'*' if value.repeats else position}:{_message(value.name)}:{_action(value)}"


def _action(value: Value) -> str:
    if value.kind:
        return _ZSH_CALLS[value.kind]
    return f"({' '.join(value.words)})" if value.words else " "


def _name(command: str) -> str:
    return f"_{command.replace(' ', '_')}"


def _message(text: str) -> str:
    """Text with the characters quoted that would end a message."""
    return text.replace("\\", "\\\\").replace(":", "\\:")


def _explanation(text: str) -> str:
    """Text with the characters quoted that would end an explanation."""
    return _message(text).replace("[", "\\[").replace("]", "\\]")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
