"""What is shown of real packets is what iptables-save says of the rules they met."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterable

import pytest

from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import LAB_KINDS, LabRuleset
from tracetui.lab.traffic import Traffic
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.recording import report

from .tracing import explained, traced, wait_for

pytestmark = pytest.mark.kernel

TOOLS = {4: "iptables", 6: "ip6tables"}


def on_node(lab: Lab, *argv: str) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", lab.node, *argv],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    return done.stdout


def listing(lab: Lab, backend: str, family: int) -> dict[tuple[str, str], list[str]]:
    """The rules of each chain, as iptables-save prints them."""
    rules: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in on_node(lab, f"{TOOLS[family]}-{backend}-save").splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A"):
            rules.setdefault((table, line.split()[1]), []).append(line)
    return rules


def handles(lab: Lab, family: int) -> dict[tuple[str, str], list[int]]:
    """The handles of each chain's rules in their order, as nft tells them."""
    found: dict[tuple[str, str], list[int]] = {}
    for one in json.loads(on_node(lab, "nft", "-j", "list", "ruleset"))["nftables"]:
        rule = one.get("rule")
        if rule and rule["family"] == ("ip6" if family == 6 else "ip"):
            found.setdefault((rule["table"], rule["chain"]), []).append(rule["handle"])
    return found


def expected(lab: Lab, packet) -> list[str | None]:
    """The rule of each hop, looked up the way a person does."""
    family = packet.header.family
    legacy, nft = (listing(lab, backend, family) for backend in ("legacy", "nft"))
    places = handles(lab, family)
    rules: list[str | None] = []
    for hop in packet.hops:
        chain = (hop.table, hop.chain)
        if hop.backend == "nft":
            place = None if hop.handle is None else places[chain].index(hop.handle)
            rules.append(None if place is None else nft[chain][place])
        else:
            lines = legacy.get(chain, [])
            rules.append(lines[hop.rulenum - 1] if hop.rulenum <= len(lines) else None)
    return rules


def shown(explanation) -> list[str | None]:
    return [here.rule.text if here.rule is not None else None for here in explanation.hops]


def raw_backend(kind: str) -> str:
    return "legacy" if kind == "legacy" else "nft"


def is_syn_to(port: int, address: str | None = None):
    def is_meant(packet) -> bool:
        header = packet.header
        return (
            header is not None
            and header.flags == "SYN"
            and header.dport == port
            and address in (None, header.dst)
        )

    return is_meant


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", LAB_KINDS)
def test_every_hop_of_a_service_packet_has_its_exact_rule(kind, family):
    with Lab(LabRuleset(kind, SERVER)) as lab, Traffic(lab) as traffic:
        with traced(lab, raw_backend(kind), iif="eth0") as session:
            assert traffic.ask("api", family) == "answered"
            packet, explanation = explained(session, is_syn_to(443))
            assert shown(explanation) == expected(lab, packet)
            assert any(text and "-j DNAT" in text for text in shown(explanation))
            assert explanation.verdict == "accept"
            open_, close = ("[", "]") if family == 6 else ("", "")
            address = packet.header.dst
            told = [report.change_text(change) for change in explanation.changes]
            dnat = f"dst {open_}{address}{close}:443 → {open_}{SERVER[family]}{close}:8443"
            assert dnat in told
            at = next(one.hop_index for one in explanation.changes if one.field == "dst")
            assert "-j DNAT" in explanation.hops[at].rule.text
            mark = next(one for one in explanation.changes if one.field == "mark")
            assert (mark.new[0], mark.by) == (0x4000, "rule")
            assert explanation.hops[mark.hop_index].rule.text == (
                "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"
            )


@pytest.mark.parametrize("kind", LAB_KINDS)
@pytest.mark.parametrize(
    ("name", "port", "verdict", "rule"),
    [
        ("dropped", 9999, "drop", "-A cali-tw-cali7 -p tcp -m tcp --dport 9999 -j DROP"),
        ("quarantined", 9997, "drop", "-A cali-quarantine -j DROP"),
        (
            *("rejected", 9998, "reject"),
            "-A cali-tw-cali7 -p tcp -m tcp --dport 9998 -j REJECT --reject-with tcp-reset",
        ),
    ],
)
def test_the_rule_that_ended_a_packet_is_named(kind, name, port, verdict, rule):
    with Lab(LabRuleset(kind, SERVER)) as lab, Traffic(lab) as traffic:
        with traced(lab, raw_backend(kind), iif="eth0") as session:
            traffic.ask(name)
            packet, explanation = explained(session, is_syn_to(port))
            assert explanation.verdict == verdict
            assert explanation.decided == len(packet.hops) - 1
            assert explanation.hops[-1].rule.text == rule
            assert shown(explanation) == expected(lab, packet)


@pytest.mark.parametrize("kind", ["legacy", "nft"])
def test_a_chain_s_policy_that_dropped_a_packet_is_named(kind):
    with Lab(LabRuleset(kind, SERVER)) as lab, Traffic(lab) as traffic:
        on_node(lab, f"iptables-{kind}", "-P", "FORWARD", "DROP")
        with traced(lab, kind, iif="eth0") as session:
            assert traffic.ask("direct") == "no answer"
            packet, explanation = explained(session, is_syn_to(8080))
            assert explanation.verdict == "drop"
            decided = packet.hops[explanation.decided]
            assert (decided.table, decided.chain, decided.type) == ("filter", "FORWARD", "policy")
            assert explanation.hops[explanation.decided].rule is None


def vanish_by_reverse_path(lab: Lab) -> None:
    on_node(lab, "sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1")
    on_node(lab, "ip", "route", "add", "10.200.1.2/32", "dev", "cali7")


def vanish_without_route(lab: Lab) -> None:
    on_node(lab, "ip", "route", "del", "10.200.2.0/24")


def vanish_without_forwarding(lab: Lab) -> None:
    on_node(lab, "sysctl", "-qw", "net.ipv4.ip_forward=0")


@pytest.mark.parametrize(
    ("vanish", "cause"),
    [
        (vanish_by_reverse_path, "rp_filter is on for eth0"),
        (vanish_without_route, "no route"),
        (vanish_without_forwarding, "net.ipv4.ip_forward is 0 here"),
    ],
)
def test_a_packet_that_routing_lost_was_not_dropped_by_a_rule(vanish, cause):
    with Lab(LabRuleset("legacy", SERVER)) as lab, Traffic(lab) as traffic:
        # A neighbour that is known needs no answer by the way that is about to fail.
        assert traffic.ask("direct") == "answered"
        vanish(lab)
        with traced(lab, "legacy", iif="eth0") as session:
            assert traffic.ask("direct") == "no answer"
            packet, explanation = explained(session, is_syn_to(8080))
            assert packet.hook_of(len(packet.hops) - 1) == "PREROUTING"
            assert explanation.verdict == "unknown"
            assert explanation.why.startswith("not dropped by a rule: routing")
            assert cause in explanation.why
            assert ("ip_forward" in cause) == ("ip_forward" in explanation.why)
            assert ("rp_filter" in cause) == ("rp_filter" in explanation.why)


ISTIO = """\
*nat
:ISTIO_OUTPUT - [0:0]
:ISTIO_REDIRECT - [0:0]
-A OUTPUT -p tcp -j ISTIO_OUTPUT
-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
-A ISTIO_OUTPUT -j ISTIO_REDIRECT
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
COMMIT
"""


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_redirect_in_output_shows_where_the_packet_went(backend):
    with Lab(LabRuleset(backend, SERVER)) as lab:
        subprocess.run(
            ["ip", "netns", "exec", lab.node, f"iptables-{backend}-restore", "--noflush"],
            input=ISTIO, text=True, check=True, timeout=10,
        )  # fmt: skip
        server = lab.inside(lab.node, lambda: socket.create_server(("127.0.0.1", 15001)))
        client = lab.inside(lab.node, socket.socket)
        with (
            server,
            client,
            traced(lab, backend, chain="OUTPUT", proto="tcp", dport="8080", family=4) as session,
        ):
            client.settimeout(2)
            client.connect((SERVER[4], 8080))
            packet, explanation = explained(session, is_syn_to(8080, SERVER[4]))
            change = next(one for one in explanation.changes if one.field == "dst")
            assert report.change_text(change) == f"dst {SERVER[4]}:8080 → 127.0.0.1:15001"
            rule = explanation.hops[change.hop_index].rule
            assert rule.text == "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001"
            assert explanation.verdict == "accept"
            assert shown(explanation) == expected(lab, packet)


def test_rules_of_nft_s_own_tables_are_shown_in_nft_s_words():
    with Lab(LabRuleset("nft", SERVER)) as lab, Traffic(lab) as traffic:
        on_node(lab, "nft", "add table inet shop")
        on_node(
            lab,
            "nft",
            "add chain inet shop gate { type filter hook forward priority 10; policy accept; }",
        )
        on_node(lab, "nft", "add chain inet shop front")
        on_node(lab, "nft", 'add rule inet shop gate tcp dport 8080 jump front comment "the shop"')
        on_node(lab, "nft", "add rule inet shop front ip daddr 10.200.2.2 counter drop")
        on_node(lab, "nft", "add table inet other")
        chain = "{ type filter hook forward priority 20; policy accept; }"
        on_node(lab, "nft", f"add chain inet other late {chain}")
        on_node(lab, "nft", "add rule inet other late counter")
        on_node(lab, "nft", "add chain inet other end")
        on_node(lab, "nft", "add rule inet other end counter")
        vmap = "{ 8080 : jump end, 8081 : drop }"
        on_node(lab, "nft", f"add rule inet other late tcp dport vmap {vmap}")
        with traced(lab, "nft", iif="eth0") as session:
            assert traffic.ask("web") == "no answer"
            packet, explanation = explained(session, is_syn_to(80))
            native = [
                (hop.chain, here.number, here.comment, here.rule.text)
                for hop, here in zip(packet.hops, explanation.hops)
                if hop.family == "inet"
            ]
            assert native == [
                ("gate", 1, "the shop", 'tcp dport 8080 jump front comment "the shop"'),
                ("front", 1, None, "ip daddr 10.200.2.2 counter drop"),
            ]
            assert (explanation.verdict, explanation.decided) == ("drop", len(packet.hops) - 1)
            traffic.ask("rejected")
            packet, explanation = explained(session, is_syn_to(9998))
            assert explanation.verdict == "reject"
            on_node(lab, "nft", "flush chain inet shop front")
            assert traffic.ask("direct") == "answered"
            packet, explanation = explained(
                session, lambda one: one.header.dport == 8080 and one.hops[-1].table == "other"
            )
            assert packet.hook_of(len(packet.hops) - 1) is None
            told = [here.rule.text for here in explanation.hops if here.rule is not None]
            assert f"tcp dport vmap {vmap}" in told
            # Behind it stands no chain but nat's, which only a connection's first packet passes.
            assert explanation.verdict == "accept"


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_our_own_hop_is_known_as_such(backend):
    with Lab(LabRuleset(backend, SERVER)) as lab, Traffic(lab) as traffic:
        with traced(lab, backend, iif="eth0", proto="tcp", family=4) as session:
            # The second rule stands first and begins the trace, so the first one shows as a hop.
            rule = TraceRule("PREROUTING", iif="eth0", proto="tcp", dport="80", family=4)
            session.add_rules([rule._replace(expires=int(time.time()) + 60)], backend)
            wait_for(session, lambda: len(session.rules) == 2)
            # A hop between snapshots that differ has no rule: both rules have to be in the newest.
            history = session.rulesets.histories[backend]
            wait_for(session, lambda: traced_by(history.newest_texts()) == 2)
            traffic.ask("web")
            packet, explanation = explained(session, is_syn_to(80))
            own = [here for here in explanation.hops if here.is_own]
            assert own
            assert all("-j TRACE" in here.rule.text for here in own)
            text = list(report.packet_text(packet, explanation))
            assert not any("-j TRACE" in line for line in text)
            everything = list(report.packet_text(packet, explanation, own_hops=True))
            assert len(everything) == len(text) + len(own)


def traced_by(texts: Iterable[str]) -> int:
    return sum("-j TRACE" in text for text in texts)


def test_the_unmatched_rules_are_those_between_two_hops_in_the_ruleset():
    with Lab(LabRuleset("legacy", SERVER)) as lab, Traffic(lab) as traffic:
        with traced(lab, "legacy", iif="eth0") as session:
            traffic.ask("rejected")
            packet, explanation = explained(session, is_syn_to(9998))
            explainer = session.explanations.explainer
            passed = explainer.unmatched_before(packet, len(packet.hops) - 1)
            assert [(number, rule.text) for number, rule in passed] == [
                (1, "-A cali-tw-cali7 -p tcp -m tcp --dport 9999 -j DROP")
            ]
            # The TRACE rule that began the trace was met, not passed by.
            assert [number for number, _ in explainer.unmatched_before(packet, 0)] == [2]
            assert explanation.hops[0].chain.rules[0].text.endswith("-j TRACE")


@pytest.mark.parametrize(
    ("rule", "shown_as"),
    [
        # iptables-nft-save 1.8.9 prints it as `-A FORWARD -j DROP`.
        ("ip saddr { 10.200.1.2, 10.200.1.3 } counter drop", None),
        # For this one it gives up the whole table.
        ("tcp dport 8080 ct state new,established counter drop", None),
        ("tcp dport 8080 ip saddr 10.200.1.2 drop", "-A FORWARD -s 10.200.1.2/32"),
    ],
)
def test_a_native_rule_in_a_table_of_iptables_is_not_shown_as_what_it_is_not(rule, shown_as):
    with Lab(LabRuleset("nft", SERVER)) as lab, Traffic(lab) as traffic:
        on_node(lab, "nft", f"insert rule ip filter FORWARD {rule}")
        with traced(lab, "nft", iif="eth0") as session:
            assert traffic.ask("direct") == "no answer"
            packet, explanation = explained(session, is_syn_to(8080))
            assert (explanation.verdict, explanation.decided) == ("drop", len(packet.hops) - 1)
            text = explanation.hops[-1].rule.text
            if shown_as is None:
                listed = on_node(lab, "nft", "-a", "-s", "list", "chain", "ip", "filter", "FORWARD")
                handle = packet.hops[-1].handle
                line = next(one for one in listed.splitlines() if f"# handle {handle}" in one)
                assert text == line.partition(" # handle")[0].strip()
            else:
                assert text.startswith(shown_as)
            # The other rules of the table keep their text.
            mangle = [
                here for hop, here in zip(packet.hops, explanation.hops) if hop.table == "mangle"
            ]
            assert "-j TCPMSS" in mangle[0].rule.text


def test_the_other_rules_of_a_table_that_iptables_gave_up_are_still_told():
    with Lab(LabRuleset("nft", SERVER)) as lab, Traffic(lab) as traffic:
        on_node(lab, "nft", "add rule ip filter FORWARD ct state new,established counter accept")
        with traced(lab, "nft", iif="eth0") as session:
            assert traffic.ask("dropped") == "no answer"
            _, explanation = explained(session, is_syn_to(9999))
            assert explanation.verdict == "drop"
            assert "tcp dport 9999" in explanation.hops[-1].rule.text


def test_a_dormant_table_stops_nobody():
    with Lab(LabRuleset("nft", SERVER)) as lab, Traffic(lab) as traffic:
        on_node(lab, "nft", "add table ip dorm { flags dormant; }")
        chain = "{ type filter hook postrouting priority 5; policy drop; }"
        on_node(lab, "nft", f"add chain ip dorm last {chain}")
        with traced(lab, "nft", iif="eth0") as session:
            assert traffic.ask("web") == "answered"
            _, explanation = explained(session, is_syn_to(80))
            assert explanation.verdict == "accept"


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_comment_with_a_line_separator_cuts_no_rule(backend):
    with Lab(LabRuleset(backend, SERVER)) as lab, Traffic(lab) as traffic:
        comment = "a\u2028b"
        words = ["-I", "FORWARD", "-p", "tcp", "-m", "comment", "--comment", comment]
        on_node(lab, f"iptables-{backend}", *words, "-j", "ACCEPT")
        with traced(lab, backend, iif="eth0") as session:
            traffic.ask("direct")
            _, explanation = explained(session, is_syn_to(8080))
            rules = [here.rule.text for here in explanation.hops if here.rule is not None]
            assert f'-A FORWARD -p tcp -m comment --comment "{comment}" -j ACCEPT' in rules
            assert explanation.verdict == "accept"


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_behind_a_goto_no_rule_is_unmatched(backend):
    with Lab(LabRuleset(backend, SERVER)) as lab, Traffic(lab) as traffic:
        tool = f"iptables-{backend}"
        on_node(lab, tool, "-N", "U")
        on_node(lab, tool, "-I", "FORWARD", "-p", "tcp", "-g", "U")
        with traced(lab, backend, iif="eth0") as session:
            assert traffic.ask("direct") == "answered"
            packet, explanation = explained(session, is_syn_to(8080))
            explainer = session.explanations.explainer
            policy = max(
                at
                for at, hop in enumerate(packet.hops)
                if (hop.table, hop.chain, hop.type) == ("filter", "FORWARD", "policy")
            )
            assert explanation.hops[policy].chain is not None
            assert len(explanation.hops[policy].chain.rules) == 3
            assert explainer.unmatched_before(packet, policy) == ()
