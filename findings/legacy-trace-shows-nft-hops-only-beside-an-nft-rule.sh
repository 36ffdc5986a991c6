#!/bin/bash
# What iptables-legacy -j TRACE traces shows no hop in nf_tables, unless some nft rule can set nftrace.
#
# kernel 6.18; iptables-legacy 1.8.9 (Debian 1.8.9-2) and nft 1.0.6 (1.0.6-2+deb12u2).
#
# TRACE of legacy tables sets the very flag that `meta nftrace set 1` sets, and nft(8) monitor trace
# shows packets that bear it. But nf_tables looks at the flag only while a static key is on, and what
# turns that on is a rule with `meta nftrace set`, in any namespace of the machine, whether a packet
# ever matches it or not (nft_trace_enabled, net/netfilter/nft_meta.c and nf_tables_core.c). So on a
# node with chains of both, a legacy trace leaves out all of nft's, until somebody traces with nft.
# Guess: nft's chains show in a legacy trace, as they do on a machine where nft traces too. It missed.
#
# Seen, hops of nft in `nft monitor trace` for one traced ping:
#   0 without such a rule, 1 and more beside one that no packet matches
# (Where another program on this machine traces with nft the first can't be seen: exit 3.)
set -euo pipefail
work=$(mktemp -d)
netns="finding-$$"
trap 'ip netns delete "$netns" 2>/dev/null || true; rm -rf "$work"' EXIT

(
    cd "$work"
    apt-get -q -o APT::Sandbox::User=root download iptables=1.8.9-2 libxtables12=1.8.9-2 libip4tc2=1.8.9-2 \
        libip6tc2=1.8.9-2 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 \
        libmnl0=1.0.4-3 libjansson4=2.14-2 libnetfilter-conntrack3=1.0.9-3 libnfnetlink0=1.0.2-2 \
        iputils-ping=3:20221126-1+deb12u1 >download.log 2>&1 || { cat download.log; exit 3; }
    for package in *.deb; do dpkg-deb -x "$package" .; done
)
libraries=$(echo "$work"/usr/lib/*-linux-gnu)
ip netns add "$netns"
ip -n "$netns" link set lo up

inside() { ip netns exec "$netns" env PATH="$work/usr/sbin:$work/usr/bin:$work/bin:$PATH" \
    LD_LIBRARY_PATH="$libraries:${libraries/\/usr/}" XTABLES_LIBDIR="$libraries/xtables" "$@"; }

hops() {
    inside timeout 3 nft monitor trace >"$work/trace" 2>/dev/null &
    sleep 1
    inside ping -q -c 1 127.0.0.1 >/dev/null
    wait || true
    grep -c "ip seen output" "$work/trace" || true
}

inside nft add table ip seen
inside nft add chain ip seen output '{ type filter hook output priority 10; }'
inside nft add rule ip seen output meta l4proto icmp counter
inside iptables-legacy -t raw -A OUTPUT -p icmp -j TRACE
without=$(hops)
inside nft add table ip tracing
inside nft add chain ip tracing never
inside nft add rule ip tracing never ip saddr 203.0.113.1 meta nftrace set 1
beside=$(hops)
echo "hops of nft: $without without such a rule, $beside beside one"
[ "$without" = 0 ] || { echo "somebody traces with nft here, or it CHANGED"; exit 3; }
[ "$beside" -gt 0 ] || { echo "CHANGED: no hop beside an nft rule either"; exit 1; }
echo "as seen"
