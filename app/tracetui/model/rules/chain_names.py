"""Names in words for the chains that programs write into a node's tables."""

from __future__ import annotations

import re
from typing import Optional

from tracetui.model.rules.chain_owners import (
    NAME_PREFIXES,
    NAME_PREFIXES_BY_TABLE,
    NAMES,
    PREFIXES_OF_SUBJECTS,
    ChainName,
)
from tracetui.model.rules.parsed_rule import parse_rule
from tracetui.model.rules.ruleset import Chain

_OF_KUBE_PROXY = re.compile(
    r"(?:service|endpoint|external|firewall)-[A-Z0-9]{8}-([^/]+/[^/]+)/[a-z]+/([^_]*)"
    r"(?:__(.+)/([0-9]+))?"
)
"""``endpoint-5OJB2KTY-ns/name/tcp/port__10.0.0.1/80`` (proxier.go, servicePortEndpointChainName).

Of an IPv6 address the colons are points there.
"""


def chain_name(chain: str, table: Optional[str] = None) -> Optional[ChainName]:
    """Owner and kind of a chain, by its name; None for a name that no known program gives."""
    owned = _owned(chain, table)
    return None if owned is None else owned[1]


def chain_label(
    name: str,
    chain: Optional[Chain] = None,
    comment: Optional[str] = None,
    short: bool = False,
    table: Optional[str] = None,
) -> str:
    """A chain in words: its kind, what it serves where a rule says so, and its owner.

    ``comment`` is that of the rule that leads there; ``short`` leaves the owner of a chain out
    that has a kind. Empty for a name that is not known.
    """
    owned = _owned(name, table)
    if owned is None:
        return ""
    beginning, chain_name = owned
    subject = _subject(chain_name, name, chain, comment)
    if beginning in PREFIXES_OF_SUBJECTS:
        subject = name[len(beginning) :]
    kind = f"{chain_name.kind} {subject}".strip()
    return kind if kind and short else f"{kind} ({chain_name.owner})" if kind else chain_name.owner


def _owned(name: str, table: Optional[str]) -> Optional[tuple[str, ChainName]]:
    """The beginning of a chain's name that is its owner's, with owner and kind."""
    if name in NAMES:
        return name, NAMES[name]
    beginnings = (*NAME_PREFIXES_BY_TABLE.get(table or "", ()), *NAME_PREFIXES)
    return next((owned for owned in beginnings if name.startswith(owned[0])), None)


def _subject(
    chain_name: ChainName, name: str, chain: Optional[Chain], comment: Optional[str]
) -> str:
    of_kube_proxy = _OF_KUBE_PROXY.fullmatch(name)
    if of_kube_proxy is not None:
        return _of_kube_proxy(of_kube_proxy)
    if chain_name.kind == "endpoint":
        for rule in chain.rules if chain is not None else ():
            if rule.text and (destination := parse_rule(rule.text).destination):
                return destination
    if chain_name.kind.startswith(("service", "load balancer's firewall", "endpoint")):
        return _service(comment) or _service(_first_comment(chain))
    if chain_name.owner == "Calico" and "workload" in chain_name.kind:
        return name.split("-", 2)[2]
    return ""


def _service(comment: Optional[str]) -> str:
    """``default/web:http`` of kube-proxy's ``default/web:http cluster IP``."""
    word = (comment or "").split(" ")[0]
    return word if "/" in word else ""


def _first_comment(chain: Optional[Chain]) -> Optional[str]:
    for rule in chain.rules if chain is not None else ():
        if rule.text and (comment := parse_rule(rule.text).comment):
            return comment
    return None


def _of_kube_proxy(name: re.Match[str]) -> str:
    """The service or the endpoint that a chain of kube-proxy's nft mode bears in its name."""
    service, port_name, address, port = name.groups()
    if address is None:
        return f"{service}:{port_name}" if port_name else str(service)
    is_v4 = address.count(".") == 3 and address.replace(".", "").isdigit()
    return f"{address}:{port}" if is_v4 else f"[{address.replace('.', ':')}]:{port}"
