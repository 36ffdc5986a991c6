"""``iptables -L -v -n`` of real rules, held against what ``iptables -S`` prints of them."""

from __future__ import annotations

import shlex

import pytest

from tracetui.session.rulesets import given_listings

pytestmark = pytest.mark.kernel
ALIKE = """\
-s 10.0.0.0/8 -d 10.1.2.3 -i eth0 -o eth+ -p tcp --dport 80 -j ACCEPT
! -s 10.0.0.1 ! -i lo -p udp ! --sport 53:60 -j DROP
-p tcp --tcp-flags SYN,RST SYN --sport 1000: -j X
-p tcp -m multiport --dports 80,443,1000:2000 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT
-m conntrack ! --ctstate INVALID -j RETURN
-p icmp --icmp-type 8 -m limit --limit 5/min --limit-burst 7 -j ACCEPT
-m comment --comment "a * b 'x' y" -j ACCEPT
-m comment --comment simple
-j X
-g X
-f -j DROP
-j LOG --log-prefix "IN: x "
-j REJECT --reject-with icmp-host-prohibited
-m addrtype --src-type LOCAL --dst-type LOCAL -j X
-m addrtype ! --src-type LOCAL -j X
-m mark ! --mark 0x5 -j X
! -p tcp -j ACCEPT
-s 0.0.0.0/0 -j ACCEPT
"""
OTHERS = """\
-m recent --name foo --update --seconds 60 -j DROP
-m statistic --mode random --probability 0.5 -j X
-m conntrack --ctstate NEW --ctproto 6 -j ACCEPT
"""


@pytest.mark.parametrize("backend", ["legacy", "nft"])
@pytest.mark.parametrize("more", [[], ["--line-numbers"]])
def test_a_listing_says_what_the_rules_say_or_that_it_does_not(namespace, backend, more):
    tool = f"iptables-{backend}"
    namespace.run(tool, "-N", "X")
    for rule in (ALIKE + OTHERS).splitlines():
        namespace.run(tool, "-A", "FORWARD", *shlex.split(rule))
    rules = []
    for options in (["-L", "-v", "-n", *more], ["-S"]):
        printed = namespace.run(tool, *options)
        text = f"# {tool} {' '.join(options)}\n{printed}"
        given = given_listings.read(text)
        assert given is not None
        assert given.unused == []
        ((found, ruleset),) = given.rulesets
        assert found == backend
        (chain,) = (one for key, one in ruleset.chains.items() if key.name == "FORWARD")
        rules.append([rule.text for rule in chain.rules])
    listed, saved = rules
    count = len(ALIKE.splitlines())
    assert listed[:count] == saved[:count]
    assert len(listed) == len(saved)
    assert all("-m …" in text and text.endswith("]") for text in listed[count:])
