"""Listings of rules, as tools print them, read."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from tracetui.model.rules import unnamed_chains
from tracetui.model.rules.ruleset import ListedRule, Ruleset
from tracetui.parse.listings import nft_outline, nft_text, xtables_save

_SAVE_FAMILIES = {4: "ip", 6: "ip6"}
_UNLISTED = ListedRule(None)


class SnapshotParts:
    """The parts of one snapshot, joined in steps because they may be long."""

    def __init__(self) -> None:
        self.skipped = 0
        """Number of parts that could not be read."""
        self._save, self._native, self._outline = Ruleset(), Ruleset(), Ruleset()
        self._missing = Ruleset()

    def taking(self, head: Mapping[str, Any], text: str) -> Iterator[None]:
        """Read a part."""
        try:
            if head.get("what") == "save":
                family = _SAVE_FAMILIES[int(head["family"])]
                yield from xtables_save.parse(text.split("\n"), family, self._save)
            elif head.get("what") == "native":
                self._native.add(nft_text.parse(text))
            elif head.get("what") == "missing":
                self._missing.unread[str(head["family"]), str(head["table"])] = text
            elif head.get("what") == "places":
                yield from nft_outline.parse(text, self._outline)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            self.skipped += 1

    def joining(self, backend: str) -> Generator[None, None, Ruleset]:
        """Put together what was read; returns the ruleset."""
        ruleset = (yield from self._with_texts()) if backend == "nft" else self._save
        ruleset.add(self._missing)
        return ruleset

    def _with_texts(self) -> Generator[None, None, Ruleset]:
        """Give every rule of the outline its text, chain by chain.

        Texts without a rule are left out: a chain may have changed while its text was read, and
        iptables-nft-save lists built-in chains that do not exist.
        """
        ruleset = Ruleset(instances=self._outline.instances)
        ruleset.is_settled = self._outline.is_settled
        save, native = self._save.chains, self._native.chains
        for key, chain in self._outline.chains.items():
            yield
            listed = {rule.handle: rule for rule in native[key].rules} if key in native else {}
            saved = save[key].rules if key in save else ()
            if len(saved) != len(chain.rules):
                saved = (ListedRule(None),) * len(chain.rules)
            rules = tuple(
                _with_text(rule, saved_rule, listed.get(rule.handle, _UNLISTED))
                for rule, saved_rule in zip(chain.rules, saved)
            )
            ruleset.chains[key] = chain._replace(rules=rules)
        unnamed_chains.fill(ruleset)
        return ruleset


def _with_text(rule: ListedRule, saved: ListedRule, native: ListedRule) -> ListedRule:
    """A rule with its text by iptables-save, or by nft where iptables can't have made it."""
    text = native.text if rule.is_native else saved.text or native.text
    return rule._replace(text=text, block=native.block)
