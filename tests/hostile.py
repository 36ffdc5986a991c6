"""Names that act on a terminal or a screen, as rules and interfaces of a real namespace have them.

iptables forbids white space in the names of chains, the kernel also / and : in those of interfaces
(dev_valid_name); comments may hold anything but NUL.
"""

from __future__ import annotations

import subprocess

CLIPBOARD = b"\x1b]52;c;SEFD\x07"
"""OSC 52: a terminal puts it into the user's clipboard."""
CHAINS = (
    CLIPBOARD,
    b"a\x1b[2J\x1b[31mb",
    "c\x9b2Jc".encode(),
    b"raw\x9b2J",
    b"\xff\xfebad",
    b"[bold]x[/]",
    b"[@click=app.quit]x[/]",
    "\u202egnp\u202c".encode(),
    "\u2066iso\u2069".encode(),
    "zero\u200bwidth".encode(),
    b"del\x7f\x08\x08",
    "nbsp\xa0nel\x85ls\u2028".encode(),
    "宽宽宽宽宽宽宽宽宽".encode(),
    b"e" + "\u0336".encode() * 13,
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    b"a\"b",
    b"a'b\\c",
    b"a:rule:3",
    b"${x};`id`",
)  # fmt: skip
"""At most 28 bytes each."""
COMMENTS = (
    CLIPBOARD * 20,
    b"title \x1b]0;owned\x07 and \x1b[31mred\x1b[0m",
    b"[bold red]x[/] [@click=app.quit]quit[/] [link=http://x]l[/link] [/]",
    "\u202eright to left\u202c \u2066isolate".encode(),
    b"line\n-A OUTPUT -j DROP",
    b"raw \x9b2J\x9c and \xff\xfe",
    "c1 \x9b2J \x9d0;owned\x9c".encode(),
    "宽".encode() * 80,
    ("z" + "\u0336" * 40).encode(),
    b"x" * 255,
    b'quote " back \\ apostrophe \' end',
    b"tab\tbell\x07back\x08del\x7f",
    "\u2028line\u2029paragraph\u0085nel \ufeffbom \u00adshy".encode(),
)  # fmt: skip
"""At most 255 bytes each."""
INTERFACES = (
    b"\x1b]52;c;SEFD\x07",
    b"e\x1b[2Jh0",
    b"[bold]x",
    b"[@click=a]x",
    "x\u202ey".encode(),
    b"raw\x9b2J",
    b"\xff\xfebad",
    "宽宽宽宽".encode(),
    b"OUT=eth9",
    b"a\\x41b",
)
"""At most 15 bytes each."""


def inside(namespace: str, *argv: bytes | str) -> None:
    """Run a command in a namespace; its words may be any bytes."""
    words = [word.encode() if isinstance(word, str) else word for word in argv]
    subprocess.run(
        [b"ip", b"netns", b"exec", namespace.encode(), *words],
        check=True, capture_output=True, timeout=30, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def fill(namespace: str, backend: str) -> None:
    """Put every hostile chain and comment where echo requests of the namespace meet them."""
    tool = f"iptables-{backend}"
    for number, chain in enumerate(CHAINS):
        inside(namespace, tool, "-N", chain)
        comment = COMMENTS[number % len(COMMENTS)]
        where = ["-p", "icmp", "-m", "comment", "--comment", comment]
        inside(namespace, tool, "-A", "OUTPUT", *where, "-j", chain)
        inside(namespace, tool, "-A", chain, *where, "-j", "RETURN")


def rename_loopback(namespace: str, old: bytes | str, new: bytes | str) -> None:
    """Give the loopback interface another name, while it is up."""
    inside(namespace, "ip", "link", "set", old, "name", new)
