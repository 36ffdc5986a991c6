"""The texts of --help and of the man page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

DONE = "done"
FAILED = "it could not be done; standard error says why and what to do"
MISUSED = "bad usage"
STATUSES = {0: DONE, 1: FAILED, 2: MISUSED}


class Example(NamedTuple):
    """A command line that works, and its purpose."""

    purpose: str
    line: str


class Page(NamedTuple):
    """The manual of a command."""

    about: str
    """Summary in a sentence."""
    more: tuple[str, ...] = ()
    """Paragraphs."""
    examples: tuple[Example, ...] = ()
    statuses: Mapping[int, str] = STATUSES
    """Meaning of the exit statuses."""

    @property
    def summary(self) -> str:
        """The sentence as an entry of a list."""
        return self.about[0].lower() + self.about[1:].rstrip(".")


PAGES = {
    "tracetui": Page(
        "Show which netfilter rule rewrote, dropped or passed a packet, live.",
        (
            "Without a command: the full screen on this node, with the RULE in place if one is "
            "given. On the screen, a adds a rule, ? shows every key, F removes our rules at once "
            "and q quits.",
            "A RULE traces at most 20 packets per second and expires after 10 minutes, "
            "unless you say otherwise.",
        ),
        (
            Example("The full screen", "tracetui"),
            Example(
                "Trace what opens connections to a service",
                "tracetui -p tcp -d 10.96.0.10 --dport 80 --syn",
            ),
            Example(
                "Trace what a pod sends, and the replies", "tracetui -i cali1234 -p udp --both"
            ),
            Example("The same in a pod's network namespace", "tracetui --netns cni-1234 -p icmp"),
            Example("Remove every TRACE rule of ours", "tracetui flush"),
        ),
    ),
    "tracetui replay": Page(
        "Show the packets of kernel logs, recordings and other tools' output.",
        (
            "It reads kernel logs and what journalctl, syslog daemons, ulogd, `nft monitor trace` "
            "and xtables-monitor print, compressed or not, and needs no root. On a terminal it is "
            "the full screen; otherwise text.",
        ),
        (
            Example("A kernel log on the screen", "tracetui replay kern.log"),
            Example("As text, out of a pipe", "dmesg | tracetui replay - --format text"),
            Example(
                "A log that was rotated, and what still comes",
                "tracetui replay kern.log.2.gz kern.log.1 kern.log --follow",
            ),
            Example(
                "Only what was dropped",
                "tracetui replay kern.log --filter 'dst port 53 and verdict drop'",
            ),
            Example(
                "With the rules beside the hops",
                "tracetui replay kern.log --ruleset v4.save --ruleset v6.save",
            ),
            Example(
                "As JSON, one object a line",
                "tracetui replay --format json syn.ndjson | jq -c '[.src, .verdict]'",
            ),
        ),
    ),
    "tracetui record": Page(
        "Trace without a screen and write the packets as JSON, one object a line.",
        (
            "It adds the RULE, writes until it is interrupted, and removes the rule. The recording "
            "holds the rulesets too, so that `tracetui replay` explains it on any machine: treat "
            "it as you treat your rules.",
            "A packet is written when no hop of it came for a moment; if more come it is written "
            "again under the same id, and the last line counts.",
            "FILE may be a FIFO or a device. A file that is not empty is overwritten only with "
            "--overwrite. A blocked output does not keep the rule installed: on a signal, or after "
            "--seconds, the rule is removed at once, the output is given up a second later, and a "
            "message says what is missing.",
        ),
        (
            Example(
                "DNS queries of half a minute",
                "tracetui record -p udp --dport 53 --seconds 30 -w dns.ndjson",
            ),
            Example(
                "The last 600 MB of it, for as long as it takes",
                "tracetui record -p tcp --syn --expire none --rotate 100M -w syn.ndjson",
            ),
            Example(
                "Ten connections that are opened",
                "tracetui record -p tcp --syn --packets 10 | jq -c '[.src, .nat]'",
            ),
        ),
        {
            0: "done, or interrupted",
            1: "it could not be done, or the guard tripped; standard error says why",
            2: MISUSED,
        },
    ),
    "tracetui rules": Page(
        "List, add or delete TRACE rules of the raw tables.",
        (
            "Without an action it lists them. What `add` installs stays when the command ends: no "
            "process watches it, so an expiry is required.",
        ),
        (
            Example("All TRACE rules, ours and foreign", "tracetui rules"),
            Example(
                "One for two minutes", "tracetui rules add -p tcp --dport 443 --syn --expire 2m"
            ),
            Example("Delete it by its ID", "tracetui rules delete 3fa9c1"),
        ),
    ),
    "tracetui rules list": Page(
        "List all TRACE rules, ours and foreign (the default).",
        (),
        (Example("Those of a network namespace", "tracetui rules list --netns cni-1234"),),
    ),
    "tracetui rules add": Page(
        "Add a TRACE rule that no process watches.",
        (
            "It ends by its expiry, by `tracetui rules delete` or by `tracetui flush`. The hops of "
            "a legacy rule go to the kernel log, or to a tracetui that is running.",
        ),
        (
            Example(
                "HTTPS connections, for two minutes",
                "tracetui rules add -p tcp --dport 443 --syn --expire 2m",
            ),
            Example(
                "What a process of this node sends, a packet a second",
                "tracetui rules add --chain OUTPUT -d 10.0.0.1 --limit 1/second",
            ),
        ),
    ),
    "tracetui rules delete": Page(
        "Delete one TRACE rule of ours.",
        (),
        (Example("By the ID that `tracetui rules` shows", "tracetui rules delete 3fa9c1"),),
    ),
    "tracetui flush": Page(
        "Remove every TRACE rule of ours and name it, whoever left it.",
        ("Each is removed by its exact specification. No other rule is ever touched.",),
        (
            Example("Ours", "tracetui flush"),
            Example("Those of other programs too", "tracetui flush --all"),
            Example("In a network namespace", "tracetui flush --netns cni-1234"),
        ),
    ),
    "tracetui modules": Page(
        "Show the kernel modules, what uses them, and what tracing needs.",
        (
            "A star behind the references says that some are held by no module: by the kernel, a "
            "rule, a socket. Nothing is loaded or unloaded.",
        ),
        (
            Example("All of them, the largest first", "tracetui modules --sort size"),
            Example("Everything known of one", "tracetui modules nf_conntrack"),
            Example("Another node's", "ssh node-7 lsmod | tracetui modules -"),
            Example(
                "What is missing for tracing",
                "tracetui modules --json | jq '.needs[] | select(.state == \"missing\")'",
            ),
        ),
    ),
    "tracetui doctor": Page(
        "Tell what this node can trace, what is missing, and what to type.",
        ("It changes nothing. Without root it can find out less.",),
        (
            Example("This node", "sudo tracetui doctor"),
            Example("A network namespace", "sudo tracetui doctor --netns cni-1234"),
        ),
        {0: "this node can be traced", 1: "something keeps it from being traced", 2: MISUSED},
    ),
    "tracetui demo": Page(
        "Trace a throwaway lab; without root, play a recording of it.",
        (
            "The lab is a few network namespaces with a small Kubernetes-like ruleset and real "
            "traffic. They are gone when it ends; nothing is added to the node's own namespace. "
            "Where the output is no terminal, the recording is printed as text.",
        ),
        (
            Example("The lab, live", "sudo tracetui demo"),
            Example("The recording as text", "tracetui demo | less"),
        ),
    ),
    "tracetui completion": Page(
        "Print a script that completes these commands in a shell.",
        (
            "It completes commands, options and their values: files, network namespaces, "
            "interfaces, kernel modules.",
        ),
        (
            Example("bash, this session", "source <(tracetui completion bash)"),
            Example(
                "bash, every session of every user",
                "tracetui completion bash > /etc/bash_completion.d/tracetui",
            ),
            Example(
                "zsh, every session (a directory of $fpath)",
                "tracetui completion zsh > /usr/local/share/zsh/site-functions/_tracetui",
            ),
            Example(
                "fish, every session",
                "tracetui completion fish > ~/.config/fish/completions/tracetui.fish",
            ),
        ),
    ),
    "tracetui man": Page(
        "Print the manual of these commands as a man page.",
        (),
        (
            Example("Read it", "tracetui man | man -l -"),
            Example("Install it", "tracetui man > /usr/local/share/man/man8/tracetui.8"),
        ),
    ),
}
"""By the words that call the command."""
SAFETY = (
    "A TRACE rule of ours is inserted at the top of a chain of the raw table and bears our tag. "
    "It is removed when tracetui ends, however it ends; if every process of it is killed, the "
    "kernel ends the rule at its expiry and the next start, or `tracetui flush`, removes it.",
    "The guard removes our rules at once when more hops come than the node should bear, or when "
    "the kernel reports a loss. Foreign rules are listed and left alone.",
    "Tracing needs root. Started by a user, tracetui asks sudo for its privileged half; under "
    "sudo the screen becomes the invoking user. What needs no root works without.",
)
"""The changes to the node, and how they end."""
PRIVILEGES = (
    "Where a user starts tracetui, its privileged half is started through sudo: the command "
    "`tracetui-collector` where it lies beside tracetui, else python with this package. A line of "
    "sudoers(5) can so allow tracing, and nothing else of root's:",
)
SUDOERS = Example(
    "For the members of a group", "%tracing ALL=(root) {directory}/tracetui-collector"
)
"""``{directory}`` is where the running one lies."""
TRUST = (
    "Root then runs what lies at these paths, so whoever may write to one of them, or to a "
    "directory above it, is root: the command itself, the python that its first line names with "
    "the libraries of that python and its site-packages, and the package in which tracetui lies. "
    "All of them have to be root's. Never name a command of a virtual environment, or of a "
    "checkout, that belongs to a user.",
    "Whom that line allows it, may add and remove TRACE rules in every network namespace, read "
    "the rulesets, the traced packets and, with `--source kmsg`, the kernel's log, and have the "
    "modules loaded that tracing needs.",
    "Under sudo, doas and pkexec tracetui becomes the user who started it. Where the environment "
    "names a user that can't exist, it refuses to go on as root.",
)
ENDED = "signal n ended it: 130 for Ctrl+C (SIGINT), 143 for SIGTERM, 129 for a hang-up"
FILTERS = (
    "A filter is written in tcpdump's words: `src 10.0.0.0/8 and dst port 8090 or icmp`, with "
    "`host`, `net`, `port`, `portrange`, `proto`, `less`, `greater`, `ether`, `vlan`, "
    "`multicast`, `not` and parentheses. Addresses and ports match on both sides of NAT.",
    "TCP's flags are words: `syn and not ack`. Numbers are compared as in "
    "`tcp[tcpflags] & tcp-syn != 0` or `len > 100`, where the header has such a field; payload "
    "bytes are not in a trace.",
    "Of our own are `chain`, `table`, `backend`, `iface`, `in`, `out`, `mark` and `text` with a "
    "word behind them, `verdict` with accept, drop, reject or unknown, and `nat` by itself.",
)
OWN_FILES = {
    "~/.config/tracetui/settings.json": "Colours, layout and keys that were chosen on the screen. "
    'Keys are bound by name, as in {"keys": {"timeline.pause": "z"}}.',
    "~/.local/state/tracetui/filters": "Filters of earlier sessions, one a line.",
    "~/.local/state/tracetui/fault.txt": "The report of the last internal error. "
    "It may name files and rules: read it before you send it.",
    "~/.cache/tracetui": "Compiled code of tracetui.pyz, the one file; whatever HOME says it is in "
    "the home that the password database knows, and can be removed at any time.",
    "/run/tracetui": "Settings changed besides rules, to be restored even after a crash.",
    "/run/netns": "The named network namespaces.",
}
ENVIRONMENT = {
    "NO_COLOR": "If it is set, the screen is drawn without colours. Nothing is told by colour "
    "alone.",
    "TERM": "If it is dumb, there is no screen, as without a terminal.",
    "COLUMNS": "The width of the help.",
    "XDG_CONFIG_HOME": "The directory used instead of ~/.config.",
    "XDG_STATE_HOME": "The directory used instead of ~/.local/state.",
    "XTABLES_LOCKFILE": "The lock file of iptables, if it is not /run/xtables.lock.",
    "TRACETUI_ROOT": "The directory used instead of / for `tracetui modules`: files of another "
    "node.",
    "SUDO_UID, DOAS_USER, PKEXEC_UID": "Who started tracetui as root, set by sudo, doas or pkexec.",
}
SEE_ALSO = (
    "iptables(8)", "iptables-extensions(8)", "ip-netns(8)", "nft(8)", "pcap-filter(7)",
    "tcpdump(8)", "xtables-monitor(8)",
)  # fmt: skip
