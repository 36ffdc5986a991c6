"""The words of TRACE rules that this process did not make: iptables prints them, for people.

The kernel tells which rules there are. What a listing says beside that is shown, and never passed
on to a command.
"""

from __future__ import annotations

from collections.abc import Mapping

from tracetui.collector.reactor.reactor import Say
from tracetui.collector.rules.printed_rules import PrintedRule, PrintedTable, listing
from tracetui.collector.rules.raw_tables import RawTable, RawTables
from tracetui.errors import Failure
from tracetui.kernel.xtables import Xtables, is_chain_name
from tracetui.model.tracing.installed_rule import TAG, InstalledRule

_ChainKey = tuple[str, int, str, str]
_NO_REFUSAL: tuple[str, frozenset[_ChainKey]] = ("", frozenset())


class RuleWords:
    """Gives rules their words, remembered as long as the rules stand; used under a lock."""

    def __init__(self, tables: RawTables, xtables: Xtables, say: Say) -> None:
        self._tables = tables
        self._xtables = xtables
        self._say = say
        self._known: dict[_ChainKey, tuple[str, ...]] = {}
        self._refusals: dict[RawTable, tuple[str, frozenset[_ChainKey]]] = {}

    def named(
        self, table: RawTable, rules: list[InstalledRule], own: Mapping[str, tuple[str, ...]]
    ) -> list[InstalledRule]:
        """The rules of one table with their words, where those can be had.

        ``own`` are the words of this process's rules by their comments.
        """
        keys = {_key(rule): rule for rule in rules}
        self._known = {
            key: words for key, words in self._known.items() if key[:2] != table or key in keys
        }
        for key, rule in keys.items():
            if rule.comment is not None and rule.comment in own:
                self._known[key] = own[rule.comment]
        unnamed = [rule for key, rule in keys.items() if key not in self._known]
        if unnamed:
            self._learn(table, unnamed)
        return [rule._replace(words=self._known.get(_key(rule), ())) for rule in rules]

    def _learn(self, table: RawTable, unnamed: list[InstalledRule]) -> None:
        """Have iptables list a table for its rules' words; what keeps it from that is said once."""
        wanted = frozenset(map(_key, unnamed))
        why, refused = self._refusals.get(table, _NO_REFUSAL)
        if wanted <= refused:
            # A listing of many rules takes seconds; it will not say more the next time.
            return
        try:
            printed = self._trusted(table)
        except Failure as error:
            if str(error) != why:
                self._say(
                    f"{str(error).rstrip('.')}; its TRACE rules are shown without their words"
                )
            self._refusals[table] = str(error), wanted
            return
        for rule in unnamed:
            printed_rule = printed.at(rule.chain, rule.position)
            if printed_rule is not None and _fits(rule, printed_rule):
                self._known[_key(rule)] = printed_rule.words
        self._refusals[table] = "", wanted - self._known.keys()

    def _trusted(self, table: RawTable) -> PrintedTable:
        """A listing that holds as many rules as the kernel does; raises Failure.

        A chain can bear a name that prints as rules (nf_tables and x_tables take any byte).
        """
        before = self._tables.size(table)
        printed = listing(self._xtables.list_raw(*table), table.name)
        expected = len(printed.rules)
        if table.backend == "legacy":
            # Each base chain has an entry for its policy, each user chain one before its first rule
            # and one behind its last, and the table one at its end (libiptc, iptcc_compile_table).
            expected += printed.base_chains + 2 * printed.user_chains + 1
        if before and expected != before and self._tables.size(table) == before:
            raise Failure(f"the listing of {table.name} is not trusted: {self._reason(table)}")
        return printed

    def _reason(self, table: RawTable) -> str:
        strange = [name for name in self._tables.chain_names(table) if not is_chain_name(name)]
        if strange:
            return f"a chain is named {strange[0]!r}"
        return "it has other rules than the kernel"


def _key(rule: InstalledRule) -> _ChainKey:
    name = f"{rule.handle or ''} {rule.comment or rule.key}"
    return rule.backend, rule.family, rule.chain, name


def _fits(rule: InstalledRule, printed_rule: PrintedRule) -> bool:
    """Whether what is printed can be the rule that the kernel told of."""
    comment = printed_rule.comment
    ours = comment if comment is not None and comment.startswith(TAG) else None
    return printed_rule.target == "TRACE" and ours == rule.comment
