#!/bin/bash
# conntrack's XML leaves out what tells one ping from another: ICMP's type, code and id.
#
# conntrack-tools 1.4.7 (Debian 1:1.4.7-1+b2), libnetfilter-conntrack 1.0.9, kernel 6.18.
#
# The text has type=8 code=0 id=N for each direction. Of the same connections `-o xml` has
# <layer4 protonum="1" protoname="icmp"></layer4>, empty, both ways; TCP and UDP have <sport> and
# <dport> there. Two pings between the same hosts differ in nothing but the kernel's <id>, and their
# timeouts. conntrack(8) calls xml a format of the output, not a part of it.
# Guess: the fields are there under some name. It missed.
#
# Seen, for `ping -e 7` and `ping -e 8` (ids of the echo):
#   icmp     1 29 src=127.0.0.1 dst=127.0.0.1 type=8 code=0 id=7 src=127.0.0.1 ... id=7 mark=0 use=1
#   <layer4 protonum="1" protoname="icmp"></layer4>
set -euo pipefail
work=$(mktemp -d)
netns="finding-$$"
trap 'ip netns delete "$netns" 2>/dev/null || true; rm -rf "$work"' EXIT

(
    cd "$work"
    apt-get -q -o APT::Sandbox::User=root download conntrack=1:1.4.7-1+b2 libmnl0=1.0.4-3 libnfnetlink0=1.0.2-2 \
        libnetfilter-conntrack3=1.0.9-3 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 \
        libnftnl11=1.2.4-2 libjansson4=2.14-2 \
        libedit2=3.1-20221030-2 libbsd0=0.11.7-2 \
        libmd0=1.0.4-2 libgmp10=2:6.2.1+dfsg1-1.1 iputils-ping=3:20221126-1+deb12u1 >download.log 2>&1 ||
        { cat download.log; exit 3; }
    for package in *.deb; do dpkg-deb -x "$package" .; done
)
libraries=$(echo "$work"/usr/lib/*-linux-gnu)
ip netns add "$netns"
ip -n "$netns" link set lo up

inside() { ip netns exec "$netns" env PATH="$work/usr/sbin:$work/usr/bin:$PATH" \
    LD_LIBRARY_PATH="$libraries:${libraries/\/usr/}" XTABLES_LIBDIR="$libraries/xtables" "$@"; }
changed() { echo "CHANGED: $1"; exit 1; }

inside nft add table ip t
inside nft add chain ip t c '{ type filter hook output priority 0; }'
inside nft add rule ip t c ct state new counter
inside ping -q -c 1 -e 7 127.0.0.1 >/dev/null
inside ping -q -c 1 -e 8 127.0.0.1 >/dev/null
inside bash -c 'echo >/dev/udp/127.0.0.1/9'

text=$(inside conntrack -L -p icmp 2>/dev/null)
xml=$(inside conntrack -L -p icmp -o xml 2>/dev/null)
udp=$(inside conntrack -L -p udp -o xml 2>/dev/null)
echo "$text"
echo "$xml"
for number in 7 8; do
    grep -q "type=8 code=0 id=$number " <<<"$text" || changed "the text has no id $number"
done
empty='<layer4 protonum="1" protoname="icmp"></layer4>'
[ "$(grep -o "$empty" <<<"$xml" | wc -l)" = 4 ] || changed "ICMP has fields in XML"
grep -q "<dport>9</dport>" <<<"$udp" || changed "UDP has no port in XML"

echo "as described"
