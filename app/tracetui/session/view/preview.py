"""The commands and the cost of a rule, shown before it is added."""

from __future__ import annotations

import shlex

from tracetui.model.tracing.cost import Cost, worst_case
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.state.session import Node


def commands(rule: TraceRule, backend: str, node: Node) -> list[str]:
    """The exact commands that install a rule, one for each family this node has a command for."""
    return [
        shlex.join([node.commands[f"{backend}/{family}"], *rule.insertion(family, node.tag)])
        for family in rule.families
        if f"{backend}/{family}" in node.commands
    ]


def cost(rule: TraceRule, backend: str, node: Node) -> Cost:
    """The rule's worst case on this node."""
    return worst_case(rule, backend, node.rules.get(backend, 0))
