"""What is read of nft's listings, held against nft's JSON, the kernel's handles and nft itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from tracetui.kernel import netns
from tracetui.kernel.nf_tables import NfTables
from tracetui.model.rules.parsed_rule import parse_rule
from tracetui.model.rules.ruleset import ChainKey, ListedRule
from tracetui.parse.listings import nft_json, nft_text
from tracetui.parse.listings.nft_json_rule import UNKNOWN_STATEMENT

from .nft_cases import Case

NFT = os.environ.get("CORPORA_NFT", "nft")
_VERDICTS = {"accept", "drop", "return", "continue", "reject", "queue"}
_COUNTER = re.compile(r"\bcounter packets \d+ bytes \d+")


class Wrong(NamedTuple):
    """Something that is read otherwise than the tools have it."""

    what: str
    case: str
    said: object
    truth: object


def check(namespace: str, case: Case, counts: Counter[str]) -> Iterator[Wrong]:
    """Compare everything that is read of the ruleset that a case left; counts rules."""
    text = _nft(namespace, "-a", "list", "ruleset")
    listed = nft_text.parse(text).chains
    printed = _nft(namespace, "-j", "list", "ruleset")
    objects = [one["rule"] for one in json.loads(printed)["nftables"] if "rule" in one]
    by_json = {
        (key, rule.handle): rule
        for key, chain in nft_json.parse(printed).chains.items()
        for rule in chain.rules
    }
    places = netns.call_inside(netns.resolve(namespace), lambda: NfTables().outline())
    for chain in places.chains:
        key = ChainKey(*chain[:3])
        handles = tuple(rule.handle for rule in listed[key].rules) if key in listed else None
        if handles != chain.handles and not key.name.startswith("__chain"):
            yield Wrong("handles and places", case.name, handles, chain.handles)
    texts = {(key, rule.handle): rule for key, chain in listed.items() for rule in chain.rules}
    for one in objects:
        key = ChainKey(one["family"], one["table"], one["chain"])
        rule = texts.get((key, one["handle"]))
        if rule is None or rule.text is None:
            yield Wrong("rules", case.name, None, one["handle"])
            continue
        counts["rules"] += 1
        line = _printed(text, key, one["handle"])
        if line is not None and rule.text != line:
            yield Wrong("text", case.name, rule.text, line)
        yield from _check_parsed_rule(case.name, rule, one)
        yield from _check_json(namespace, case, by_json[key, one["handle"]], rule.text, counts)


def _printed(text: str, key: ChainKey, handle: int) -> Optional[str]:
    """The line of a rule as nft printed it, where it is one line; found in a simple way."""
    found = [line for line in text.split("\n") if line.endswith(f" # handle {handle}")]
    lines = [line.strip() for line in found if not line.strip().startswith(("chain", "table"))]
    if len(lines) != 1 or lines[0].count("{") != lines[0].count("}"):
        return None
    return _COUNTER.sub("counter", lines[0].rpartition(" # handle")[0])


def _check_parsed_rule(name: str, rule: ListedRule, one: dict[str, Any]) -> Iterator[Wrong]:
    said = parse_rule(rule.text or "")
    target, changes, is_open = _truth(one["expr"])
    if (said.target, said.is_open) != (target, is_open):
        yield Wrong("target", name, (said.target, said.is_open), (rule.text, target, is_open))
    if set(said.changes) != changes:
        yield Wrong("meaning", name, said.changes, (rule.text, changes))


def _truth(expressions: list[Any]) -> tuple[Optional[str], set[str], bool]:
    """Target, changes and openness by the keys of nft's JSON."""
    target, is_open, changes = None, False, set()
    for one in expressions:
        if isinstance(one, str):
            is_open |= one.startswith(("jump {", "goto {"))
            continue
        (name, value), *_ = one.items()
        if name in _VERDICTS:
            target = None if name == "continue" else name.upper()
        elif name in ("jump", "goto"):
            target = value["target"]
        elif name == "vmap":
            is_open = True
        elif name in ("dnat", "redirect", "tproxy"):
            changes |= {"dst", "dport"}
        elif name in ("snat", "masquerade"):
            changes |= {"src", "sport"}
        elif name == "mangle":
            changes |= _mangled(value["key"])
    return target, changes, is_open


def _mangled(key: dict[str, Any]) -> set[str]:
    if key == {"meta": {"key": "mark"}}:
        return {"mark"}
    payload = key.get("payload", {})
    names = {"saddr": "src", "daddr": "dst", "sport": "sport", "dport": "dport", "ttl": "ttl"}
    if payload.get("protocol") in ("ether", "arp", "vlan", None):
        return set()
    field = {**names, "hoplimit": "ttl"}.get(payload.get("field", ""))
    return set() if field is None else {field}


def _check_json(
    namespace: str, case: Case, rule: ListedRule, text: str, counts: Counter[str]
) -> Iterator[Wrong]:
    if rule.text is None or UNKNOWN_STATEMENT in rule.text:
        counts["kept as JSON"] += 1
        return
    if rule.text == text:
        counts["JSON as nft prints it"] += 1
        return
    table = f"{case.family} {case.table}"
    known = _reprinted(namespace, table, case, rule.text)
    if known == text:
        counts["JSON in other words"] += 1
    else:
        yield Wrong("JSON refused" if known is None else "JSON means", case.name, rule.text, text)


def _reprinted(namespace: str, table: str, case: Case, text: str) -> Optional[str]:
    """How nft prints a rule that is given to it; None if it takes it not."""
    chains = re.findall(r"^add chain \S+ \S+ (\S+)", "\n".join(case.script), re.MULTILINE)
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, NFT, "-a", "-e", "-f", "-"],
        input=f"add rule {table} {chains[0]} {text}\n",
        text=True, capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    if done.returncode:
        return None
    handle = re.findall(r" # handle (\d+)$", done.stdout, re.MULTILINE)[-1]
    listed = _nft(namespace, "-a", "list", "chain", *table.split(), chains[0])
    _nft(namespace, "delete", "rule", *table.split(), chains[0], "handle", handle)
    for chain in nft_text.parse(listed).chains.values():
        for rule in chain.rules:
            if str(rule.handle) == handle:
                return rule.text
    return None


def _nft(namespace: str, *words: str) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, NFT, *words],
        text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout
