"""The modules of another node, out of a text: its /proc/modules, or what lsmod(8) printed there."""

from __future__ import annotations

from typing import NamedTuple, Optional


class NoDetails(NamedTuple):
    """Details of a module of which nothing but its line is there."""

    modinfo: Optional[str] = None
    sysfs: dict[str, str] = {}  # noqa: RUF012 - nobody writes to it
    parameters: dict[str, Optional[str]] = {}  # noqa: RUF012


class GivenModules:
    """One list of modules; of the kernel's other texts none is known (``ModuleSource``)."""

    def __init__(self, text: str) -> None:
        self._text = text

    def modules(self) -> Optional[str]:
        """The list as it was given."""
        return self._text

    def built_in(self) -> Optional[str]:
        """Return None: the list has no built-in ones."""
        return None

    def built_in_sysfs(self) -> tuple[str, ...]:
        """Return none, as there is no sysfs."""
        return ()

    def on_disk(self) -> Optional[str]:
        """Return None: that node's disk is not here."""
        return None

    def build_options(self) -> Optional[str]:
        """Return None: its kernel's .config is not here."""
        return None

    def loggers(self) -> Optional[str]:
        """Return None: its loggers are not in the list."""
        return None

    def legacy_targets(self) -> Optional[str]:
        """Return None: its targets are not in the list."""
        return None

    def details(self, name: str) -> NoDetails:
        """Return none; a module of this machine may be another one of that name."""
        return NoDetails()
