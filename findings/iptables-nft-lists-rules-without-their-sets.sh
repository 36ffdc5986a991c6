#!/bin/bash
# iptables-nft lists rules of nft's own without the sets and maps that they look in, and says nothing.
#
# iptables 1.8.9 (Debian 1.8.9-2), nftables 1.0.6 (Debian 1.0.6-2+deb12u2).
#
# iptables-nft refuses a chain that has an expression which it has no words for: "chain `OUTPUT' in
# table `filter' is incompatible, use 'nft' tool", exit status 1. A lookup in a set or a map is such a
# one, but it is passed over: what is left of the rule is printed, by -S, -L and iptables-nft-save
# alike, exit status 0. A rule for two ports reads as one for all, a rule for the addresses of a set
# as one for everybody, and a verdict map as a rule without a target.
# Guess: it refuses the chain, as it does for `log prefix` or `fib`. It missed.
#
# Seen:                                     for:
#   -A OUTPUT -p tcp -j ACCEPT              tcp dport { 8080, 8081 } accept
#   -A OUTPUT -j RETURN                     ip daddr @known return
#   -A OUTPUT -p udp                        udp dport vmap { 5353 : accept, 5354 : drop }
set -euo pipefail
work=$(mktemp -d)
netns="finding-$$"
trap 'ip netns delete "$netns" 2>/dev/null || true; rm -rf "$work"' EXIT

(
    cd "$work"
    apt-get -q -o APT::Sandbox::User=root download iptables=1.8.9-2 libxtables12=1.8.9-2 libip4tc2=1.8.9-2 libip6tc2=1.8.9-2 \
        libnftnl11=1.2.4-2 libmnl0=1.0.4-3 libnetfilter-conntrack3=1.0.9-3 libnfnetlink0=1.0.2-2 \
        nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libjansson4=2.14-2 \
        libedit2=3.1-20221030-2 libbsd0=0.11.7-2 \
        libmd0=1.0.4-2 libgmp10=2:6.2.1+dfsg1-1.1 >download.log 2>&1 ||
        { cat download.log; exit 3; }
    for package in *.deb; do dpkg-deb -x "$package" .; done
)
libraries=$(echo "$work"/usr/lib/*-linux-gnu)
ip netns add "$netns"
ip -n "$netns" link set lo up

inside() { ip netns exec "$netns" env PATH="$work/usr/sbin:$work/usr/bin:$PATH" \
    LD_LIBRARY_PATH="$libraries:${libraries/\/usr/}" XTABLES_LIBDIR="$libraries/xtables" "$@"; }
changed() { echo "CHANGED: $1"; exit 1; }

inside iptables-nft -P OUTPUT ACCEPT
inside nft add set ip filter known '{ type ipv4_addr; }'
inside nft add rule ip filter OUTPUT tcp dport '{ 8080, 8081 }' accept
inside nft add rule ip filter OUTPUT ip daddr @known return
inside nft add rule ip filter OUTPUT udp dport vmap '{ 5353 : accept, 5354 : drop }'
inside nft list chain ip filter OUTPUT

expected="-P OUTPUT ACCEPT
-A OUTPUT -p tcp -j ACCEPT
-A OUTPUT -j RETURN
-A OUTPUT -p udp"
listed=$(inside iptables-nft -S OUTPUT) || changed "the chain is refused"
echo "$listed"
[ "$listed" = "$expected" ] || changed "the rules are listed in another way"
saved=$(inside iptables-nft-save) || changed "iptables-nft-save refuses"
[ "$(grep ^-A <<<"$saved")" = "$(grep ^-A <<<"$expected")" ] || changed "iptables-nft-save differs"

inside nft add rule ip filter OUTPUT fib daddr type local counter
if inside iptables-nft -S OUTPUT >/dev/null 2>&1; then changed "fib is not refused any more"; fi

echo "as described"
