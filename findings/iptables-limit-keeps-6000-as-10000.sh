#!/bin/bash
# iptables -m limit keeps 6,000 packets a second as 10,000: a limit can be nearly twice what was typed.
#
# iptables 1.8.9 (Debian 1.8.9-2), iptables-legacy and iptables-nft; nftables 1.0.6 beside it.
#
# The rate is kept as the time between two packets in whole tenths of a millisecond, rounded down
# (xt_limit.h, XT_LIMIT_SCALE). So of the high rates only the quotients of 10,000 are left: 10,000,
# 5,000, 3,333, 2,500 … Everything from 5,001 to 10,000 is the same. There is no warning, and the exit
# status is 0; only the listing tells. iptables-translate writes what is kept, not what was typed,
# while nft keeps the rate that it is told. iptables-extensions(8) has no word of it.
# Guess: kept as typed, or refused where it can't be. It missed; so did the guess that
# iptables-translate writes the rate that was typed.
#
# Seen, with both backends:
#   --limit 4000/sec    -A OUTPUT -m limit --limit 5000/sec -j ACCEPT
#   --limit 6000/sec    -A OUTPUT -m limit --limit 10000/sec -j ACCEPT
#   iptables-translate  limit rate 10000/second burst 5 packets
#   nft, told 6000      limit rate 6000/second
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

for backend in legacy nft; do
    for pair in "4000 5000" "6000 10000" "9999 10000"; do
        read -r typed kept <<<"$pair"
        inside "iptables-$backend" -A OUTPUT -m limit --limit "$typed/sec" -j ACCEPT
        listed=$(inside "iptables-$backend" -S OUTPUT 2>/dev/null | tail -n 1)
        echo "$backend, $typed/sec: $listed"
        [ "$listed" = "-A OUTPUT -m limit --limit $kept/sec -j ACCEPT" ] ||
            changed "$typed/sec is kept in another way"
    done
done
translated=$(inside iptables-translate -A OUTPUT -m limit --limit 6000/sec -j ACCEPT)
echo "$translated"
grep -q "limit rate 10000/second" <<<"$translated" || changed "iptables-translate says another rate"

inside nft add table ip t
inside nft add chain ip t c
inside nft add rule ip t c limit rate 6000/second accept
inside nft list chain ip t c
inside nft list chain ip t c | grep -q "limit rate 6000/second" || changed "nft keeps another rate"

echo "as described"
