#!/bin/bash
# A process's start time in /proc/PID/stat is not one number: a reader in a time namespace sees another.
#
# kernel 6.18; unshare of util-linux 2.38.1 (Debian 2.38.1-5+deb12u3).
#
# A pid with its start time (proc(5), field 22, clock ticks after boot) is the usual name of a process
# for ever: pidfiles, locks and our own tags use it. The kernel adds the boot-time offset of the
# *reader's* time namespace to it (timens_add_boottime_ns, fs/proc/array.c), so two programs of one pid
# namespace, one of them in a container with such an offset, take each other's live processes for dead
# ones whose pid was given again. proc(5) and time_namespaces(7) have no word of field 22. What takes the
# offset off again is /proc/self/timens_offsets, to a tick.
# Guess: the field says when a process started, whoever reads it, as its pid does. It missed.
#
# Seen, clock ticks of the same sleeping process, read with a boot that was 100,000 s earlier:
#   outside 635597, inside 10635597
set -euo pipefail
work=$(mktemp -d)
sleep 60 &
process=$!
trap 'kill "$process" 2>/dev/null || true; rm -rf "$work"' EXIT

(
    cd "$work"
    apt-get -q -o APT::Sandbox::User=root download util-linux=2.38.1-5+deb12u3 >download.log 2>&1 ||
        { cat download.log; exit 3; }
    dpkg-deb -x ./*.deb .
)

ticks() { awk '{print $22}' "/proc/$process/stat"; }
outside=$(ticks)
inside=$("$work/usr/bin/unshare" --time --boottime 100000 --fork awk '{print $22}' "/proc/$process/stat")
moved=$((inside - outside))
echo "outside $outside, inside $inside: moved by $moved ticks"
[ "$moved" = $((100000 * $(getconf CLK_TCK))) ] || { echo "CHANGED"; exit 1; }
echo "as seen"
