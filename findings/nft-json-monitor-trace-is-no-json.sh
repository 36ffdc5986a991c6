#!/bin/bash
# `nft -j monitor` prints trace events as plain text, between the JSON of all others.
#
# nftables 1.0.6 (Debian 1.0.6-2+deb12u2), kernel 6.18.
#
# nft(8): "related to creation and deletion of objects or to packets for which meta nftrace was enabled
# ... nft will print to stdout the monitored events in either JSON or native nft format". For packets
# -j is taken and changes nothing: `nft -j monitor trace` has no JSON at all, and `nft -j monitor`, one
# object a line, has lines of text in between as soon as something on the node is traced, so what
# reads it as JSON fails though it asked for rules only.
# Guess: JSON without the packet's header. It missed.
#
# Seen in the output of one `nft -j monitor`:
#   trace id fafe0512 ip t c packet: oif "lo" ip saddr 127.0.0.1 ip daddr 127.0.0.1 ...
#   {"add": {"rule": {"family": "ip", "table": "t", "chain": "c", "handle": 3, ...
set -euo pipefail
work=$(mktemp -d)
netns="finding-$$"
trap 'ip netns delete "$netns" 2>/dev/null || true; rm -rf "$work"' EXIT

(
    cd "$work"
    apt-get -q -o APT::Sandbox::User=root download nftables=1.0.6-2+deb12u2 \
        libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3 libjansson4=2.14-2 \
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

is_json() { python3 -c 'import json, sys; json.loads(sys.argv[1])' "$1" 2>/dev/null; }

inside nft add table ip t
inside nft add chain ip t c '{ type filter hook output priority 0; }'
inside nft add rule ip t c meta nftrace set 1
inside timeout 10 stdbuf -oL nft -j monitor trace >"$work/traces" 2>&1 &
inside timeout 10 stdbuf -oL nft -j monitor >"$work/all" 2>&1 &
for _ in 1 2 3 4 5; do
    sleep 1
    inside bash -c 'echo >/dev/udp/127.0.0.1/9'
    inside nft add rule ip t c counter
done
wait
trace=$(head -n 1 "$work/traces")
mixed=$(grep -m 1 "^trace id " "$work/all") || changed "no text among the other events"
event=$(grep -m 1 '^{"add"' "$work/all") || changed "no JSON among the other events"
echo "nft -j monitor trace: $trace"
echo "nft -j monitor:       $mixed"
echo "nft -j monitor:       $event"
grep -q "^trace id " <<<"$trace" || changed "trace events begin in another way"
if is_json "$trace"; then changed "trace events are JSON"; fi
is_json "$event" || changed "other events are no JSON"

echo "as described"
