"""The raw tables of both backends and families, as the kernel tells them: where TRACE rules are."""

from __future__ import annotations

import errno
import threading
from typing import NamedTuple, Optional

from tracetui.errors import Failure, KernelRefused
from tracetui.kernel.legacy_tables import LegacyTables
from tracetui.kernel.nft_raw_tables import NftRawTables
from tracetui.model.tracing.installed_rule import InstalledRule

_NO_NF_TABLES = (errno.EINVAL, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP)
"""The answer of a kernel without nf_tables (nfnetlink_rcv_msg)."""


class RawTable(NamedTuple):
    """A raw table of one backend and family."""

    backend: str
    family: int

    @property
    def name(self) -> str:
        """The table as it is named to the user."""
        return f"the {self.backend} raw table of IPv{self.family}"


RAW_TABLES = tuple(RawTable(backend, family) for backend in ("nft", "legacy") for family in (4, 6))
"""Tables of nf_tables come first: their rules are removed at once, whatever keeps the others."""


class RawTables:
    """Asks the kernel for TRACE rules; safe to use from several threads.

    Sockets are opened at once and kept: a rule can be removed when no descriptor is left.
    """

    def __init__(self) -> None:
        self._opening = threading.Lock()
        self._nft: Optional[NftRawTables] = None
        self._legacy: Optional[LegacyTables] = None
        for opened in (self._nft_tables, self.legacy_tables):
            try:
                opened()
            except Failure:
                # It is tried again, and said, when it is needed.
                continue

    def rules(self, table: RawTable, seconds: float = float("inf")) -> list[InstalledRule]:
        """List every TRACE rule of a table, without its words; raises Failure.

        PartlyRead, where nf_tables takes longer than so many seconds.
        """
        if table.backend == "legacy":
            return self.legacy_tables().trace_rules(table.family)
        try:
            return self._nft_tables().rules(table.family, seconds)
        except KernelRefused as error:
            if error.number in _NO_NF_TABLES:
                return []
            raise

    def find(self, table: RawTable, chain: str, comment: str) -> Optional[InstalledRule]:
        """The first rule of a chain that bears this comment; None for none. Raises Failure."""
        if table.backend == "nft":
            return self._nft_tables().find(table.family, chain, comment)
        rules = self.legacy_tables().trace_rules(table.family)
        return next((r for r in rules if (r.chain, r.comment) == (chain, comment)), None)

    def delete_by_handle(self, rule: InstalledRule) -> bool:
        """Remove a rule of nf_tables; False if it was not there. Raises Failure."""
        return self._nft_tables().delete(rule)

    def size(self, table: RawTable) -> int:
        """Count the rules of a table, and its chains where it is a legacy one; raises Failure."""
        if table.backend == "nft":
            return self._nft_tables().size(table.family)
        return self.legacy_tables().size(table.family, "raw").entries

    def legacy_entries(self, family: int) -> int:
        """The entries of the legacy raw table, 0 where that is not known."""
        try:
            return self.legacy_tables().size(family, "raw").entries
        except Failure:
            return 0

    def chain_names(self, table: RawTable) -> list[str]:
        """The chains of a table; raises Failure."""
        if table.backend == "nft":
            return self._nft_tables().chain_names(table.family)
        return self.legacy_tables().chain_names(table.family)

    def close(self) -> None:
        """Give the sockets back."""
        for tables in (self._nft, self._legacy):
            if tables is not None:
                tables.close()

    def _nft_tables(self) -> NftRawTables:
        with self._opening:
            if self._nft is None:
                self._nft = NftRawTables()
            return self._nft

    def legacy_tables(self) -> LegacyTables:
        """The legacy tables; raises Failure where they can't be asked for."""
        with self._opening:
            if self._legacy is None:
                self._legacy = LegacyTables()
            return self._legacy
