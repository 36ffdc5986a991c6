#!/bin/bash
# A packet that nf_tables traces costs more, the more rules stand behind the one it matched.
#
# kernel 6.18; iptables 1.8.9 (Debian 1.8.9-2, iptables-nft) writes the rules.
#
# A rule at the top of a chain sets nftrace (iptables-nft -j TRACE), the next one accepts the packet;
# no packet ever comes to the rules behind them. Sending costs the same whether there are 1,000 or
# 50,000 of those, until the packet is traced: then each event of the trace goes from the rule that
# matched to the end of its chain, to find the chain's name (nft_trace_get_chain(),
# net/netfilter/nf_tables_trace.c). It does so whether anybody listens to the trace or not.
# Of legacy tables it is known that TRACE counts through the table for the rule's number.
# Guess: nf_tables knows rule and chain, so that the length of the chain does not matter. It missed.
#
# Seen, processor time of a datagram over loopback, microseconds, untraced and traced:
#   1,000 rules behind    4.4   15
#   50,000 rules behind   4.4  253
set -euo pipefail
work=$(mktemp -d)
netns="finding-$$"
trap 'ip netns delete "$netns" 2>/dev/null || true; rm -rf "$work"' EXIT

(
    cd "$work"
    apt-get -q -o APT::Sandbox::User=root download iptables=1.8.9-2 libxtables12=1.8.9-2 libip4tc2=1.8.9-2 \
        libip6tc2=1.8.9-2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3 libnetfilter-conntrack3=1.0.9-3 \
        libnfnetlink0=1.0.2-2 >download.log 2>&1 || { cat download.log; exit 3; }
    for package in *.deb; do dpkg-deb -x "$package" .; done
)
libraries=$(echo "$work"/usr/lib/*-linux-gnu)
ip netns add "$netns"
ip -n "$netns" link set lo up

inside() { ip netns exec "$netns" env PATH="$work/usr/sbin:$PATH" \
    LD_LIBRARY_PATH="$libraries:${libraries/\/usr/}" XTABLES_LIBDIR="$libraries/xtables" "$@"; }
changed() { echo "CHANGED: $1"; exit 1; }

# Microseconds of processor time that one datagram costs its sender, the least of five hundreds.
cost() {
    inside python3 - <<'PYTHON'
import socket
import time

here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(("127.0.0.1", 9))
there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
best = float("inf")
for _ in range(5):
    before = time.process_time()
    for _ in range(100):
        there.sendto(b"x", ("127.0.0.1", 9))
    best = min(best, (time.process_time() - before) / 100)
print(round(best * 1e6, 1))
PYTHON
}

# A chain with so many rules that no packet comes to, and what a datagram costs untraced and traced.
measured() {
    {
        echo '*raw'
        echo ':OUTPUT ACCEPT [0:0]'
        echo '-A OUTPUT -o lo -j ACCEPT'
        for number in $(seq "$1"); do echo "-A OUTPUT -s 203.0.113.$((number % 256))"; done
        echo COMMIT
    } | inside iptables-nft-restore
    untraced=$(cost)
    inside iptables-nft -t raw -I OUTPUT 1 -p udp -j TRACE
    traced=$(cost)
    echo "$1 rules behind: $untraced untraced, $traced traced"
}

measured 1000
few_untraced=$untraced few_traced=$traced
measured 50000
is() { python3 -c "import sys; sys.exit(not ($1))"; }
is "$untraced < 5 * $few_untraced" || changed "an untraced datagram costs more with a long chain"
is "$traced > 4 * $few_traced" || changed "a traced datagram costs no more with a long chain"
echo "as seen"
