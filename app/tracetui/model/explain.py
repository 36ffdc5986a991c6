"""Why a packet went the way it went: the rule behind each hop, what it did, and who decided.

Nothing is guessed. A rule is given to a hop only if it stood when the hop was evaluated, and only
if the hops tell nothing else: a jump leads where the rule says, a chain ends where it ends, and no
test of the rule fails on the packet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple, Optional

from tracetui.model.header import Header
from tracetui.model.history import CHANGED, KNOWN, PENDING, UNREAD, RulesetHistory
from tracetui.model.hop import Hop
from tracetui.model.packet import Packet, Value
from tracetui.model.rule_meaning import STANDARD, Meaning, contradiction, meaning
from tracetui.model.ruleset import Chain, ChainKey, ListedRule

OWN_TAG = "tracetui:"
"""What the comment of a rule of ours begins with."""
_FINAL = frozenset(("accept", "drop", "reject", "queue"))
_NEXT_HOOKS = {
    "PREROUTING": frozenset(("INPUT", "FORWARD")),
    "FORWARD": frozenset(("POSTROUTING",)),
    "OUTPUT": frozenset(("POSTROUTING",)),
}
_AFTER_ROUTING = "FORWARD or INPUT"
_PAIRS = (("src", "sport"), ("dst", "dport"))


class HopExplanation(NamedTuple):
    """What is known of one hop."""

    state: str
    """One of the history's: ``known``, ``pending``, ``changed``, ``unread``."""
    verdict: Optional[str]
    """What the kernel said, or the ruleset proves, in nft's words; None if neither."""
    rule: Optional[ListedRule] = None
    """The rule of the hop; None for the end of a chain, or where the state is not ``known``."""
    number: Optional[int] = None
    """The rule's 1-based place in its chain, on nft too."""
    chain: Optional[Chain] = None
    """The chain as the hop met it; None where that is not known."""

    @property
    def meaning(self) -> Optional[Meaning]:
        """What the rule's text says; None without a rule."""
        return meaning(self.rule.text) if self.rule is not None and self.rule.text else None

    @property
    def comment(self) -> Optional[str]:
        """What the rule's comment tells people; None for none, and for a mere hash."""
        said = self.meaning
        return None if said is None or said.is_hashed else said.comment

    @property
    def is_own(self) -> bool:
        """Whether it is the packet meeting a TRACE rule of ours once more."""
        said = self.meaning
        return (
            said is not None and said.target == "TRACE" and (said.comment or "").startswith(OWN_TAG)
        )


class Change(NamedTuple):
    """A rewritten field, or an address with its port."""

    field: str
    """One of ``src dst ttl mark mac in out``; a port belongs to its address."""
    old: tuple[Value, Value]
    """Value, and for an address its port, before."""
    new: tuple[Value, Value]
    by: str
    """``rule``, ``routing`` (forwarding), ``conntrack`` (NAT of a known connection) or ``?``."""
    at: int
    """The hop that did it, or for anything but a rule the first one seen with the new value."""


class PacketExplanation(NamedTuple):
    """What is known of a packet as a whole."""

    hops: tuple[HopExplanation, ...]
    changes: tuple[Change, ...]
    verdict: str
    """``accept``, ``drop``, ``reject`` or ``unknown``."""
    decided: Optional[int]
    """The hop that decided; None where none did."""
    why: str
    """One sentence; empty where the verdict says it all."""
    is_final: bool
    """Whether nothing more can become known about these hops."""

    @property
    def is_pending(self) -> bool:
        """Whether the next reading of the ruleset will tell more."""
        return any(hop.state == PENDING for hop in self.hops)

    def changes_at(self, index: int) -> tuple[Change, ...]:
        """What a hop did, or was first seen with."""
        return tuple(change for change in self.changes if change.at == index)


class Explainer:
    """Explains packets out of the rulesets' histories."""

    def __init__(self, histories: Mapping[str, RulesetHistory]) -> None:
        self.histories = histories
        """By backend."""
        self._sysctls: list[tuple[int, Mapping[str, str]]] = []

    def set_sysctls(self, sysctls: Mapping[str, str], first_id: int = 0) -> None:
        """Note the node's routing settings (``kernel.procfs``), from a packet's id on."""
        if not self._sysctls or self._sysctls[-1][1] != sysctls:
            self._sysctls.append((first_id, dict(sysctls)))

    def explain(self, packet: Packet) -> PacketExplanation:
        """Everything known of a packet now."""
        hops = self._hops(packet)
        changes = tuple(_changes(packet, hops))
        verdict, decided, why = self._verdict(packet, hops)
        is_final = verdict != "unknown" and all(hop.state == KNOWN for hop in hops)
        return PacketExplanation(hops, changes, verdict, decided, why, is_final)

    def tested_before(self, packet: Packet, index: int) -> tuple[tuple[int, ListedRule], ...]:
        """The rules the packet passed by in a hop's chain since its last hop there.

        Each with its number; out of the ruleset, where the kernel says nothing. Empty where the
        chain, or the place in it, is not known.
        """
        hops = self._hops(packet)
        here = hops[index]
        if here.state != KNOWN or here.chain is None:
            return ()
        last = len(here.chain.rules) + 1 if here.number is None else here.number
        if index == 0:
            # What stood before the rule that began the trace was not traced, matched or not.
            first = _after_trace(here.chain, last)
        else:
            before = _last_in_visit(packet, hops, index)
            first = 1 if before is None else _next_tested(hops[before])
        return tuple(
            (number, here.chain.rules[number - 1])
            for number in range(first, min(last, len(here.chain.rules) + 1))
        )

    def _hops(self, packet: Packet) -> tuple[HopExplanation, ...]:
        found = [self._hop(hop) for hop in packet.hops]
        header: dict[str, Optional[Header]] = {}
        for index, hop in enumerate(packet.hops):
            header[hop.backend] = hop.header or header.get(hop.backend)
            if found[index].state == KNOWN and self._is_contradicted(
                packet, index, found, header[hop.backend]
            ):
                found[index] = HopExplanation(CHANGED, hop.verdict)
        return tuple(found)

    def _hop(self, hop: Hop) -> HopExplanation:
        history = self.histories.get(hop.backend)
        if history is None or history.is_empty:
            found = HopExplanation(UNREAD, hop.verdict)
        elif hop.backend == "nft":
            found = _nft_hop(hop, history)
        else:
            found = _legacy_hop(hop, history)
        if found.state != KNOWN and hop.rule is not None:
            rule = ListedRule(hop.rule, hop.handle)
            return HopExplanation(KNOWN, hop.verdict, rule, hop.rulenum)
        return found

    def _is_contradicted(
        self,
        packet: Packet,
        index: int,
        found: list[HopExplanation],
        header: Optional[Header],
    ) -> bool:
        """Whether the packet's other hops, or its header, say that the rule is another one."""
        hop, here = packet.hops[index], found[index]
        said = here.meaning
        if said is not None and contradiction(said, header, hop.iif, hop.oif) is not None:
            return True
        if said is not None and said.destination and _went_elsewhere(packet, index, said):
            return True
        is_iptables = here.rule is not None and (here.rule.text or "").startswith("-A ")
        if said is not None and is_iptables and _leads_otherwise(hop, said):
            return True
        if here.verdict in ("drop", "reject") and any(
            later.backend == "legacy" for later in packet.hops[index + 1 :]
        ):
            return hop.backend == "legacy"
        after = packet.hops[index + 1] if index + 1 < len(packet.hops) else None
        if after is None or hop.backend != "legacy" or not _are_together(packet, index, index + 1):
            return False
        return not _leads_to(here, hop, after)

    def _verdict(
        self, packet: Packet, hops: tuple[HopExplanation, ...]
    ) -> tuple[str, Optional[int], str]:
        for index, (hop, here) in enumerate(zip(packet.hops, hops)):
            if hop.backend == "nft" and hop.verdict == "drop":
                is_reject = here.meaning is not None and here.meaning.verdict == "reject"
                return "reject" if is_reject else "drop", index, ""
        last = len(packet.hops) - 1
        decided = hops[last].verdict
        if decided in ("drop", "reject"):
            return decided, last, ""
        later = self._later_chain(packet, hops) if decided == "accept" else None
        if later:
            return "unknown", None, self._why_not_reached(packet, hops, later)
        if packet.verdict != "unknown" or (later == "" and _hook(packet, hops) != "PREROUTING"):
            return "accept", last, ""
        if decided == "accept":
            return "unknown", None, "accepted here; where it went from here is not in the trace"
        return "unknown", None, self._why_unknown(packet, hops)

    def _why_not_reached(self, packet: Packet, hops: tuple[HopExplanation, ...], later: str) -> str:
        if _hook(packet, hops) == "PREROUTING" and later == _AFTER_ROUTING:
            return f"not dropped by a rule: routing. {self._routing(packet)}"
        return (
            f"accepted here, but {later} was not reached: the kernel stopped it, or a hop is lost"
        )

    def _later_chain(self, packet: Packet, hops: tuple[HopExplanation, ...]) -> Optional[str]:
        """A chain that the packet would have shown a hop in, had it gone on from its last hop.

        Empty where there is none; None where that is not known.
        """
        hop, hook = packet.hops[-1], _hook(packet, hops)
        bases = self._base_chains(packet, hop)
        if hook is None or bases is None:
            return None
        # Only the first packet of a connection passes the others.
        always = [(key, chain) for key, chain in bases if not chain.is_nat]
        here = max(
            (
                chain.priority
                for key, chain in bases
                if key[:2] == (hop.family, hop.table)
                and chain.hook == hook
                and chain.priority is not None
                and hop.chain in (key.name, *_user_chain(hop, bases))
            ),
            default=None,
        )
        for key, chain in always:
            is_later = here is not None and chain.priority is not None and chain.priority > here
            if chain.hook == hook and is_later:
                return f"{key.table} {key.name}"
        after, hooks = _NEXT_HOOKS.get(hook, frozenset()), {chain.hook for _, chain in always}
        if not after & hooks:
            return ""
        return " or ".join(sorted(after)) if after <= hooks else None

    def _base_chains(self, packet: Packet, hop: Hop) -> Optional[list[tuple[ChainKey, Chain]]]:
        """The base chains for packets of this family, of both backends; None if not known."""
        found: list[tuple[ChainKey, Chain]] = []
        for backend, history in self.histories.items():
            if history.is_empty and all(one.backend != backend for one in packet.hops):
                continue
            window = hop.readings
            if backend != hop.backend and window is not None:
                window = (history.latest, history.latest) if history.latest else None
            bases = history.base_chains(window)
            if bases is None:
                return None
            family = "ip6" if packet.header is not None and packet.header.family == 6 else "ip"
            found += [one for one in bases if one[0].family in (family, "inet")]
        return found

    def _routing(self, packet: Packet) -> str:
        """What can have stopped a packet between PREROUTING and its next hook."""
        header, causes, sysctls = packet.header, [], self._sysctls_of(packet)
        if header is not None and header.dst is not None and _is_multicast(header.dst):
            return "It is multicast that nothing here has asked for, or that is not forwarded"
        if header is not None and header.ttl == 1:
            causes.append("its TTL is 1, so it can't be forwarded")
        is_v6 = header is not None and header.family == 6
        name = "ipv6.forwarding" if is_v6 else "ipv4.ip_forward"
        if sysctls.get(name) == "0":
            causes.append(f"net.{name.replace('ipv6.', 'ipv6.conf.all.')} is 0 here")
        if not is_v6:
            causes += _reverse_path(packet.iif, sysctls)
        causes.append("no route to the destination")
        if not sysctls:
            causes.append("or ip_forward or rp_filter, which can't be read here")
        return f"Likely causes: {'; '.join(causes)}"

    def _sysctls_of(self, packet: Packet) -> Mapping[str, str]:
        """What was set when the packet came, as far as that is known."""
        known = (sysctls for first, sysctls in reversed(self._sysctls) if first <= packet.id)
        return next(known, {})

    def _why_unknown(self, packet: Packet, hops: tuple[HopExplanation, ...]) -> str:
        last = hops[-1]
        if last.state == PENDING:
            return "the rules are being read"
        if last.state == UNREAD and last.verdict is None:
            return "stopped here, or the trace did; without the rules it can't be told which"
        if last.state == CHANGED and last.verdict is None:
            return "the ruleset changed, so its last rule can't be told"
        if last.verdict == "queue":
            return "handed to a program (NFQUEUE), which decides"
        return "the trace ends here: its next hop was lost, or a match dropped it without a hop"


def _reverse_path(iif: Optional[str], sysctls: Mapping[str, str]) -> list[str]:
    # The larger value of all and the interface holds (ip-sysctl.rst, rp_filter).
    values = {sysctls.get(f"rp_filter.{one}", "0") for one in ("all", iif or "default")}
    if max(values) == "0":
        return []
    is_strict = max(values) == "1"
    way = f"not by {iif}" if is_strict and iif else "by no interface"
    return [f"rp_filter is on for {iif or 'the interface'} and its source is routed {way}"]


def _legacy_hop(hop: Hop, history: RulesetHistory) -> HopExplanation:
    found = history.chain(ChainKey(hop.family, hop.table, hop.chain), hop.readings)
    chain, number = found.value, hop.rulenum or 0
    if chain is None:
        return HopExplanation(found.state, hop.verdict)
    if number == len(chain.rules) + 1 and hop.type != "rule":
        if (hop.type == "policy") != chain.is_base:
            return HopExplanation(CHANGED, hop.verdict)
        return HopExplanation(KNOWN, chain.policy or "return", chain=chain)
    if not 1 <= number <= len(chain.rules):
        return HopExplanation(CHANGED, hop.verdict)
    rule = chain.rules[number - 1]
    said = meaning(rule.text or "")
    is_end_like = said.is_unconditional and said.target in STANDARD and not said.is_goto
    if is_end_like != (hop.type != "rule"):
        return HopExplanation(CHANGED, hop.verdict)
    verdict = _verdict_of(said, chain)
    if said.target is not None and said.target not in STANDARD and not said.is_goto:
        # A chain can bear the name of a target.
        target = history.chain(ChainKey(hop.family, hop.table, said.target), hop.readings)
        verdict = f"jump {said.target}" if target.state == KNOWN else verdict
    return HopExplanation(KNOWN, verdict, rule, number, chain)


def _nft_hop(hop: Hop, history: RulesetHistory) -> HopExplanation:
    key = ChainKey(hop.family, hop.table, hop.chain)
    chain = history.chain(key, hop.readings)
    if hop.handle is None:
        # The kernel has said everything: that the chain ended, and how.
        return HopExplanation(KNOWN, hop.verdict, chain=chain.value)
    found = history.rule(key[:2], hop.handle, hop.readings)
    if found.value is None:
        return HopExplanation(found.state, hop.verdict)
    where, rule = found.value
    if where != key:
        return HopExplanation(CHANGED, hop.verdict)
    handles = [one.handle for one in chain.value.rules] if chain.value is not None else []
    number = handles.index(hop.handle) + 1 if hop.handle in handles else None
    return HopExplanation(KNOWN, hop.verdict, rule, number, chain.value)


def _verdict_of(said: Meaning, chain: Chain) -> Optional[str]:
    """The verdict of a rule of a legacy chain, in nft's words; None for what can be a jump."""
    if said.is_goto:
        return f"goto {said.target}"
    if said.verdict == "return" and chain.is_base:
        # RETURN in a base chain has the policy decide, and no further hop tells of it.
        return chain.policy
    return said.verdict


def _leads_to(here: HopExplanation, hop: Hop, after: Hop) -> bool:
    """Whether the next hop in the same table can come after this one."""
    verdict = here.verdict or ""
    if verdict.startswith(("jump ", "goto ")):
        return after.chain == verdict.split(" ", 1)[1]
    if verdict in _FINAL:
        return False
    if verdict == "continue":
        return after.chain == hop.chain and (after.rulenum or 0) > (hop.rulenum or 0)
    if verdict == "return":
        return after.chain != hop.chain
    return True


def _leads_otherwise(hop: Hop, said: Meaning) -> bool:
    """Whether the kernel jumped elsewhere than the text says: a chain can be renamed.

    A rule of nft's own can lead to more than one.
    """
    word, _, target = (hop.verdict or "").partition(" ")
    return word in ("jump", "goto") and bool(target) and said.target != target


def _last_in_visit(packet: Packet, hops: tuple[HopExplanation, ...], index: int) -> Optional[int]:
    """The hop before one in the same visit to its chain; None if the visit begins with it.

    A chain can be visited more than once, and what a goto left is not come back to.
    """
    visits: list[tuple[str, int]] = []
    first = index
    while first > 0 and _are_together(packet, first - 1, first):
        first -= 1
    for at in range(first, index + 1):
        chain = packet.hops[at].chain
        names = [name for name, _ in visits]
        if chain in names and not _enters(packet, hops, at, chain):
            del visits[names.index(chain) + 1 :]
            before = visits.pop()[1]
        else:
            before = None
        if at == index:
            return before
        visits.append((chain, at))
    return None


def _enters(packet: Packet, hops: tuple[HopExplanation, ...], at: int, chain: str) -> bool:
    """Whether a hop is the first of a visit: the one before it jumped there."""
    verdict = hops[at - 1].verdict if at else None
    return verdict in (f"jump {chain}", f"goto {chain}")


def _next_tested(before: HopExplanation) -> int:
    """The first rule tested after a hop in the same visit; past every end where none was."""
    verdict = before.verdict or ""
    if before.number is None or verdict == "return" or verdict.startswith("goto "):
        return 1 << 31
    return before.number + 1


def _went_elsewhere(packet: Packet, index: int, said: Meaning) -> bool:
    """Whether the destination seen next is not the one the rule sets."""
    address, port = _destination(said.destination or "")
    for hop in packet.hops[index + 1 :]:
        if hop.header is not None and hop.header.dst is not None:
            is_port_other = port is not None and hop.header.dport not in (None, port)
            return is_port_other or address not in (None, hop.header.dst)
    return False


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
    return address if is_one else None, int(port) if port.isdigit() else None


def _after_trace(chain: Chain, last: int) -> int:
    """The number behind the last TRACE rule before a place; that place itself without one."""
    for number in range(min(last - 1, len(chain.rules)), 0, -1):
        text = chain.rules[number - 1].text
        if text and (meaning(text).target == "TRACE" or "nftrace set 1" in text):
            return number + 1
    return last


def _is_multicast(address: str) -> bool:
    return ipaddress.ip_address(address).is_multicast


def _hook(packet: Packet, hops: tuple[HopExplanation, ...]) -> Optional[str]:
    """The hook of the last hop; that of a chain in a table of nft's own the ruleset tells."""
    hook = packet.hook_of(len(packet.hops) - 1)
    last = packet.hops[-1]
    for hop, here in zip(reversed(packet.hops), reversed(hops)):
        if hook is not None or (hop.family, hop.table) != (last.family, last.table):
            break
        hook = here.chain.hook if here.chain is not None else None
    return hook


def _user_chain(hop: Hop, bases: list[tuple[ChainKey, Chain]]) -> tuple[str, ...]:
    """The hop's chain if it is no base chain: any of its table can have led there."""
    names = {key.name for key, _ in bases if key[:2] == (hop.family, hop.table)}
    return () if hop.chain in names else (hop.chain,)


def _are_together(packet: Packet, one: int, other: int) -> bool:
    """Whether two hops are of the same table at the same hook."""
    first, second = packet.hops[one], packet.hops[other]
    is_same = (first.backend, first.family, first.table) == (
        second.backend,
        second.family,
        second.table,
    )
    return is_same and packet.hook_of(one) == packet.hook_of(other)


def _changes(packet: Packet, hops: tuple[HopExplanation, ...]) -> list[Change]:
    """Every rewritten field, at the hop that did it."""
    known: dict[str, Value] = {}
    changes: list[Change] = []
    for index in range(len(packet.hops)):
        new = packet.changed(index)
        for names in (*_PAIRS, ("ttl",), ("mark",), ("mac",), ("in",), ("out",)):
            if not any(name in new for name in names):
                continue
            old = (known.get(names[0]), known.get(names[-1]) if len(names) > 1 else None)
            now = {**known, **new}
            value = (now.get(names[0]), now.get(names[-1]) if len(names) > 1 else None)
            by, at = _doer(packet, hops, index, names)
            changes.append(Change(names[0], old, value, by, at))
        _note(known, packet.hops[index])
    return changes


def _note(known: dict[str, Value], hop: Hop) -> None:
    known["mark"] = hop.mark or 0
    for name, value in (("in", hop.iif), ("out", hop.oif), ("mac", hop.mac)):
        if value is not None:
            known[name] = value
    if hop.header is not None:
        for name in ("src", "sport", "dst", "dport", "ttl"):
            known[name] = getattr(hop.header, name)


def _doer(
    packet: Packet, hops: tuple[HopExplanation, ...], index: int, names: tuple[str, ...]
) -> tuple[str, int]:
    """Who rewrote a field that is first seen new at a hop, and at which hop."""
    if names[0] in ("in", "out"):
        return "routing", index
    # nf_tables reports a rule after it ran, the legacy tables before.
    last = index if packet.hops[index].backend == "nft" else index - 1
    for before in range(last, -1, -1):
        hop, said = packet.hops[before], hops[before].meaning
        if said is not None and set(said.changes) & set(names):
            return "rule", before
        if said is None and hop.type == "rule" and _may_do(packet, before, index, names):
            return "rule", before
        if before < index and _shows(hop, names):
            # It still had the old value, so nothing before it is to blame.
            break
    if names in _PAIRS:
        return "conntrack", index
    return ("routing" if names == ("ttl",) else "?"), index


def _may_do(packet: Packet, before: int, index: int, names: tuple[str, ...]) -> bool:
    """Whether a rule without text can be the one; NAT is done where a nat table is left."""
    hop = packet.hops[before]
    if names in _PAIRS:
        return hop.table == "nat" and not (
            before + 1 < index and packet.hops[before + 1].table == "nat"
        )
    return names == ("mark",)


def _shows(hop: Hop, names: tuple[str, ...]) -> bool:
    """Whether a hop tells the value of these fields."""
    if names == ("mark",):
        return True
    return hop.mac is not None if names == ("mac",) else hop.header is not None
