"""TRACE rules for screens and texts, written as iptables-save -c prints them."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from tracetui.collector.rules.printed_rules import listing
from tracetui.model.tracing.installed_rule import TAG, InstalledRule


def installed(saved: str, tag: str, backend: str = "nft", family: int = 4) -> list[InstalledRule]:
    """The rules with target TRACE; those with ``tag`` are this collector's."""
    found = []
    for rule, (packets, size) in zip(
        listing(saved, "raw").rules, re.findall(r"^\[(\d+):(\d+)\] -A ", saved, re.MULTILINE)
    ):
        if rule.target != "TRACE":
            continue
        is_ours = (rule.comment or "").startswith(TAG)
        stop = dict(zip(rule.words, rule.words[1:])).get("--datestop")
        found.append(
            InstalledRule(
                backend,
                family,
                rule.chain,
                rule.words,
                int(packets),
                int(size),
                rule.comment if is_ours else None,
                stop and datetime.fromisoformat(stop).replace(tzinfo=timezone.utc).timestamp(),
                is_ours and rule.comment.startswith(f"{tag}/"),
            )
        )
    return found
