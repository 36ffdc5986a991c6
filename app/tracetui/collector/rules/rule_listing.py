"""A listing of the raw tables, with what of them could not be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tracetui.collector.rules.raw_tables import RawTable
from tracetui.model.tracing.installed_rule import InstalledRule


class RuleListing(NamedTuple):
    """TRACE rules of the raw tables, and tables that could not be looked at."""

    rules: tuple[InstalledRule, ...]
    unknown: Mapping[RawTable, str]
    """The tables that could not be looked at, and why: what stands there is not known."""

    @property
    def doubts(self) -> list[str]:
        """A sentence for each table that could not be looked at."""
        return [f"{not_known(table)}: {why}" for table, why in self.unknown.items()]


def not_known(table: RawTable) -> str:
    """The beginning of the sentence that says why a table could not be looked at."""
    return f"it is not known which TRACE rules are in {table.name}"
