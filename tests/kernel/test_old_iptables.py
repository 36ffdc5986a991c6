"""Rules of a newer iptables, whose matches an older one leaves out of their text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tracetui.collector.snapshots.ruleset_reader import NftRulesetReader
from tracetui.kernel import netns
from tracetui.kernel.xtables import Xtables
from tracetui.session.rulesets.rulesets import Rulesets

pytestmark = pytest.mark.kernel
RULES = """\
-p tcp --dport 9999 -j DROP
-p tcp -j ACCEPT
-p udp --sport 53 --dport 1000:2000 -j ACCEPT
-p tcp --syn -j ACCEPT
-p tcp -m multiport --dports 1,2 -j ACCEPT
-p icmp --icmp-type 8 -j ACCEPT
-m mark --mark 0x1/0x1 -j ACCEPT
-m conntrack --ctstate NEW -m comment --comment x -j ACCEPT
-s 10.0.0.0/8 -i eth0 -j ACCEPT
-m addrtype --dst-type LOCAL -j DROP
-m limit --limit 5/min -j ACCEPT
-m state --state RELATED -j ACCEPT
"""


def make(namespace, rules: Sequence[str] = ()) -> list[str]:
    for rule in rules or RULES.splitlines():
        namespace.run("iptables-nft", "-A", "FORWARD", *rule.split(), check=False)
    return namespace.run("iptables-nft", "-S", "FORWARD").splitlines()[1:]


def read(namespace, commands: Xtables) -> list[str]:
    """The texts of FORWARD's rules as a session has them after the second reading."""
    reader, rulesets = NftRulesetReader(commands), Rulesets()
    for number in (1, 2):
        outcome = netns.call_inside(netns.resolve(namespace.name), lambda: reader.read(True))
        parts = [{**head, "text": text} for head, text in outcome.parts]
        rulesets.take_record(
            {"backend": "nft", "reading": number, "continuous": True, "parts": parts}
        )
        reader.forget()
    reader.close()
    rulesets.work_all()
    ((_, chain),) = rulesets.histories["nft"].base_chains((2, 2))
    return [rule.text for rule in chain.rules]


def test_what_this_iptables_made_and_reads_stands_in_its_own_words(namespace):
    saved = make(namespace)
    assert read(namespace, Xtables()) == saved


def test_a_text_without_a_match_that_the_kernel_has_is_not_taken(namespace):
    saved = make(namespace)
    commands = Xtables()
    whole = commands.save

    def cut(backend, family):
        return whole(backend, family).replace(" -m tcp --dport 9999", "").replace(
            " -m addrtype --dst-type LOCAL", ""
        ).replace(" -m mark --mark 0x1/0x1", "")  # fmt: skip

    commands.save = cut  # type: ignore[method-assign]
    texts = read(namespace, commands)
    assert "tcp dport 9999" in texts[0]
    different = [at for at, (one, other) in enumerate(zip(texts, saved)) if one != other]
    cut_ones = ("9999", "addrtype", "--mark")
    assert different == [
        at for at, text in enumerate(saved) if any(one in text for one in cut_ones)
    ]
