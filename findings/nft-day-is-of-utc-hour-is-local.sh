#!/bin/bash
# nft reads the hours of a rule in the time zone of whoever types it, but not the days.
#
# nftables 1.0.6 (Debian 1.0.6-2+deb12u2), kernel 6.18.
#
# `meta hour` is turned into UTC as the rule is read (and back as it is listed, so one rule has
# another text in another time zone). `meta day` is handed to the kernel as it is, which compares it
# with the day of UTC. So east of Greenwich `meta day "Monday" meta hour "00:00"-"00:30"` never
# matches on what is Monday there: it is still Sunday in UTC. nft(8) says of neither whose it is.
# Guess: both are local, as both are typed by one person. It missed.
#
# Seen, at 17:15 UTC on a Sunday, 07:15 on Monday at UTC+14, after a datagram and its refusal:
#   meta day "Monday" counter packets 0 bytes 0 comment "local day"
#   meta day "Sunday" counter packets 2 bytes 86 comment "day of UTC"
#   meta hour "07:00"-"07:59:59" counter packets 2 bytes 86 comment "local hour"
# and the last of them, listed in UTC:
#   meta hour "17:00"-"17:59:59"
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

# A zone in which it is another day now than in UTC.
if [ "$(date +%M)" = 59 ]; then sleep 61; fi
if [ "$(date -u +%-H)" -ge 12 ]; then zone="<+14>-14"; else zone="<-12>+12"; fi
there() { LC_ALL=C TZ=$zone date "$1"; }
echo "it is $(LC_ALL=C date -u "+%A %H:%M") in UTC and $(there "+%A %H:%M") in $zone"

inside nft add table ip t
inside nft add chain ip t c '{ type filter hook output priority 0; }'
inside env TZ="$zone" nft add rule ip t c meta day "\"$(there +%A)\"" counter comment '"local day"'
inside env TZ="$zone" nft add rule ip t c meta day "\"$(date -u +%A)\"" counter \
    comment '"day of UTC"'
hour=$(there +%H)
inside env TZ="$zone" nft add rule ip t c meta hour "\"$hour:00:00\"-\"$hour:59:59\"" counter \
    comment '"local hour"'
inside bash -c 'echo >/dev/udp/127.0.0.1/9'

listed=$(inside env TZ="$zone" nft list chain ip t c)
echo "$listed"
grep -q 'packets 0 bytes 0 comment "local day"' <<<"$listed" || changed "the local day matches"
grep -q 'packets [1-9].*comment "day of UTC"' <<<"$listed" || changed "the day of UTC does not match"
grep -q 'packets [1-9].*comment "local hour"' <<<"$listed" || changed "the local hour does not match"
utc=$(inside env TZ=UTC nft list chain ip t c | grep "local hour")
echo "the last one, listed in UTC: $utc"
grep -q "meta hour \"$(date -u +%H):00\"" <<<"$utc" || changed "hours are listed as they were typed"

echo "as described"
