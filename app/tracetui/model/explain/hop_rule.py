"""The rule behind a hop, and mismatches between the two."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Optional

from tracetui.model.explain.explanation import HopExplanation
from tracetui.model.explain.printed_rule import with_printed
from tracetui.model.rules import unnamed_chains
from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.lookup import CHANGED, KNOWN, NOT_READ, PENDING
from tracetui.model.rules.parsed_rule import STANDARD_TARGETS, ParsedRule, mismatch, parse_rule
from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import NFLOG, Hop
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.path_template import Value

TOP_RULES_CHECKED = 8
"""Rules at the top of a chain that are compared with a hop at its end."""
_PORT_NUMBER = re.compile(r"[0-9]{1,5}")
_PLAIN_NAME = re.compile(r"[\w.,:+/@-]+", re.ASCII)
_FINAL_VERDICTS = frozenset(("accept", "drop", "reject", "queue"))


def explain_hop(hop: Hop, histories: Mapping[str, RulesetHistory]) -> HopExplanation:
    """The rule of a hop by the ruleset it met, whatever the other hops of its packet show."""
    if hop.point.is_forged:
        return HopExplanation(KNOWN, None)
    history = histories.get(hop.backend)
    if history is None or history.is_empty:
        explanation = HopExplanation(NOT_READ, hop.verdict)
    elif hop.backend == "nft":
        explanation = _nft_hop(hop, history)
    else:
        explanation = _legacy_hop(hop, history)
    if hop.backend == "legacy" and _may_be_made_up(hop, explanation, histories):
        explanation = explanation._replace(source=NFLOG)
    if hop.rule is None:
        return explanation
    if history is None:
        return HopExplanation(KNOWN, hop.verdict, ListedRule(hop.rule, hop.handle), hop.rulenum)
    return with_printed(hop, explanation, history)._replace(source=explanation.source)


def without_rule(hop: Hop) -> HopExplanation:
    """The explanation of a hop whose rule does not fit the other hops, or the header.

    A rule that the trace printed itself is not doubted.
    """
    if hop.rule is None or hop.interval is not None:
        return HopExplanation(CHANGED, hop.verdict)
    return HopExplanation(KNOWN, hop.verdict, ListedRule(hop.rule, hop.handle), hop.rulenum)


def _may_be_made_up(
    hop: Hop, explanation: HopExplanation, histories: Mapping[str, RulesetHistory]
) -> bool:
    """Whether a rule that logs to nflog can have sent the hop.

    One of them logs this trace point, or the hop's own rule did not exist when it came.
    """
    if hop.source is not None:
        # A recording says so; another source than nflog proves that it is not.
        return hop.source == NFLOG
    if any(history.may_be_logged(hop.point) for history in histories.values()):
        return True
    if explanation.state != CHANGED or hop.interval is None:
        return False
    history, key = histories[hop.backend], ChainKey(hop.family, hop.table, hop.chain)
    chain = history.chain(key, hop.interval).value
    if chain is None:
        # A listing can have other names in another form.
        return _PLAIN_NAME.fullmatch(hop.chain) is not None and history.is_absent(key, hop.interval)
    return (hop.rulenum or 0) > len(chain.rules) + (hop.type != "rule")


def is_mismatched(
    packet: Packet,
    index: int,
    explanations: Sequence[HopExplanation],
    header: Optional[Header],
) -> bool:
    """Whether the packet's other hops, or its header, show that the rule is another one."""
    hop, explanation = packet.hops[index], explanations[index]
    if (
        explanation.rule is None
        and explanation.chain is not None
        and _was_passed_without_hop(packet, index, explanation.chain)
    ):
        return True
    parsed = explanation.parsed
    if parsed is not None and mismatch(parsed, header, hop.iif, hop.oif) is not None:
        return True
    if parsed is not None and parsed.destination and _went_elsewhere(packet, index, parsed):
        return True
    is_iptables = explanation.rule is not None and (explanation.rule.text or "").startswith("-A ")
    if parsed is not None and is_iptables and _leads_otherwise(hop, parsed):
        return True
    if explanation.verdict in ("drop", "reject") and any(
        later.backend == "legacy" for later in packet.hops[index + 1 :]
    ):
        return hop.backend == "legacy"
    after = packet.hops[index + 1] if index + 1 < len(packet.hops) else None
    if after is None or hop.backend != "legacy" or not packet.are_together(index, index + 1):
        return False
    return not _leads_to(explanation, hop, after)


def _was_passed_without_hop(packet: Packet, index: int, chain: Chain) -> bool:
    """Whether a chain ended without a hop of a rule at its top that every packet matches.

    While nf_tables takes a table in that is to replace another one, packets meet its chains, and
    meet them empty (nf_tables_newchain registers the hook before the rules are committed).
    """
    first = index
    while first > 0 and packet.are_together(first - 1, first):
        first -= 1
    # Rules before the one that began the trace were not traced.
    if first == 0 or not chain.is_base:
        return False
    hops = packet.hops[first:index]
    if any(hop.chain == chain.name and _is_at_rule(hop, chain) for hop in hops):
        return False
    return any(parse_rule(rule.text or "").matches_all for rule in chain.rules[:TOP_RULES_CHECKED])


def _is_at_rule(hop: Hop, chain: Chain) -> bool:
    """Whether a hop was at a rule: legacy shows one without a match as the end of the chain."""
    return hop.type == "rule" or 1 <= (hop.rulenum or 0) <= len(chain.rules)


def _legacy_hop(hop: Hop, history: RulesetHistory) -> HopExplanation:
    lookup = history.chain(ChainKey(hop.family, hop.table, hop.chain), hop.interval)
    chain, number = lookup.value, hop.rulenum or 0
    if chain is None:
        # The hop proves that there is a table: where none was found, none could be read.
        is_unread = lookup.state == CHANGED and history.has_no_base_chain(hop.interval)
        return HopExplanation(NOT_READ if is_unread else lookup.state, hop.verdict)
    if number == len(chain.rules) + 1 and hop.type != "rule":
        if (hop.type == "policy") != chain.is_base:
            return HopExplanation(CHANGED, hop.verdict)
        return HopExplanation(KNOWN, chain.policy or "return", chain=chain)
    if not 1 <= number <= len(chain.rules):
        return HopExplanation(CHANGED, hop.verdict)
    rule = chain.rules[number - 1]
    parsed = parse_rule(rule.text or "")
    is_end_like = (
        parsed.is_unconditional and parsed.target in STANDARD_TARGETS and not parsed.is_goto
    )
    if is_end_like != (hop.type != "rule"):
        return HopExplanation(CHANGED, hop.verdict)
    verdict = f"goto {parsed.target}" if parsed.is_goto else parsed.verdict
    if parsed.target is not None and parsed.target not in STANDARD_TARGETS and not parsed.is_goto:
        # A chain can bear the name of a target.
        target = history.chain(ChainKey(hop.family, hop.table, parsed.target), hop.interval)
        verdict = f"jump {parsed.target}" if target.state == KNOWN else verdict
    return HopExplanation(KNOWN, verdict, rule, number, chain)


def _nft_hop(hop: Hop, history: RulesetHistory) -> HopExplanation:
    key = ChainKey(hop.family, hop.table, hop.chain)
    chain_lookup = history.chain(key, hop.interval)
    if hop.handle is None:
        # The kernel has said everything: that the chain ended, and how. The next snapshot will tell
        # what the chain was, and with it whether that can be.
        state = PENDING if chain_lookup.state == PENDING else KNOWN
        return HopExplanation(state, hop.verdict, chain=chain_lookup.value)
    lookup = history.rule(key[:2], hop.handle, hop.interval)
    if lookup.value is None:
        # No listing that a user gives has the handles of such a chain.
        is_unlisted = hop.interval is None and unnamed_chains.is_unnamed(hop.chain)
        return HopExplanation(NOT_READ if is_unlisted else lookup.state, hop.verdict)
    rule_chain, rule = lookup.value
    if rule_chain != key:
        return HopExplanation(CHANGED, hop.verdict)
    rules = chain_lookup.value.rules if chain_lookup.value is not None else ()
    number = next(
        (
            rule_number
            for rule_number, listed in enumerate(rules, start=1)
            if listed.handle == hop.handle
        ),
        None,
    )
    return HopExplanation(KNOWN, hop.verdict, rule, number, chain_lookup.value)


def _leads_to(explanation: HopExplanation, hop: Hop, after: Hop) -> bool:
    """Whether the next hop in the same table can come after this one."""
    verdict = explanation.verdict or ""
    if verdict.startswith(("jump ", "goto ")):
        return after.chain == verdict.split(" ", 1)[1]
    if verdict in _FINAL_VERDICTS:
        return False
    if verdict == "continue":
        return after.chain == hop.chain and (after.rulenum or 0) > (hop.rulenum or 0)
    if verdict == "return" and explanation.chain is not None and explanation.chain.is_base:
        # The policy decides, and has a hop of its own.
        return after.chain == hop.chain and after.rulenum == len(explanation.chain.rules) + 1
    if verdict == "return":
        return after.chain != hop.chain
    return True


def _leads_otherwise(hop: Hop, parsed: ParsedRule) -> bool:
    """Whether the kernel jumped elsewhere than the text says: a chain can be renamed.

    Only for iptables' rules: a native nft rule can lead to more than one chain.
    """
    word, _, target = (hop.verdict or "").partition(" ")
    return word in ("jump", "goto") and bool(target) and parsed.target != target


def _went_elsewhere(packet: Packet, index: int, parsed: ParsedRule) -> bool:
    """Whether the destination seen next is not the one the rule sets."""
    for hop in packet.hops[index + 1 :]:
        if hop.header is not None and hop.header.dst is not None:
            return is_elsewhere(parsed.destination or "", hop.header.dst, hop.header.dport)
    return False


def is_elsewhere(destination: str, dst: Value, dport: Value) -> bool:
    """Whether an address and a port are not those of ``--to-destination``, as far as it says."""
    address, port = _destination(destination)
    return (port is not None and dport not in (None, port)) or address not in (None, dst)


@lru_cache(maxsize=4096)
def _destination(text: str) -> tuple[Optional[str], Optional[int]]:
    """Address and port of ``--to-destination``; None for what is not given, or a range."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.lstrip(":")
    elif text.count(":") > 1:
        address, port = text, ""
    else:
        address, _, port = text.partition(":")
    is_one = bool(address) and "-" not in address
    return address if is_one else None, int(port) if _PORT_NUMBER.fullmatch(port) else None
