"""Chains without a name: an nft rule holds their rules itself (``jump { … }``).

The kernel names them ``__chain1`` and so on (nf_tables_addchain), which no listing shows, and gives
their rules handles, which no listing shows either. It makes such a chain, its rules and the rule
that leads there in one transaction, and removes them in one, so that both come in the same order.
"""

from __future__ import annotations

import re

from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, Ruleset, TableKey

_UNNAMED = re.compile(r"__chain([0-9]{1,20})")


def is_unnamed(chain: str) -> bool:
    """Whether the kernel made up this name."""
    return _UNNAMED.fullmatch(chain) is not None


def fill(ruleset: Ruleset) -> None:
    """Give the rules of such chains the texts that the rules leading there have of them.

    A table where the two do not fit is left as it is: it was changed while it was read.
    """
    chains: dict[TableKey, list[ChainKey]] = {}
    leading: dict[TableKey, list[ListedRule]] = {}
    for key, chain in ruleset.chains.items():
        if is_unnamed(key.name):
            chains.setdefault((key.family, key.table), []).append(key)
        leading_rules = [rule for rule in chain.rules if rule.block and rule.handle is not None]
        if leading_rules:
            leading.setdefault((key.family, key.table), []).extend(leading_rules)
    for table, keys in chains.items():
        keys.sort(key=_number)
        rules = sorted(leading.get(table, ()), key=lambda rule: rule.handle or 0)
        pairs = [(ruleset.chains[key], rule) for key, rule in zip(keys, rules)]
        if len(keys) == len(rules) and all(_fits(*pair) for pair in pairs):
            for key, (chain, rule) in zip(keys, pairs):
                ruleset.chains[key] = _filled(chain, rule)


def _number(key: ChainKey) -> int:
    name = _UNNAMED.fullmatch(key.name)
    return 0 if name is None else int(name[1])


def _fits(chain: Chain, leading: ListedRule) -> bool:
    """Whether a chain can be the one whose rules a rule holds."""
    last = max((rule.handle or 0 for rule in chain.rules), default=0)
    return len(chain.rules) == len(leading.block) and last < (leading.handle or 0)


def _filled(chain: Chain, leading: ListedRule) -> Chain:
    texts = zip(chain.rules, leading.block)
    return chain._replace(rules=tuple(rule._replace(text=text) for rule, text in texts))
