"""The kernel modules of a node, and those that tracing needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional, Protocol

from tracetui.model.node.module import BUILT_IN_STATE, Module, ModuleFacts, ModuleTree
from tracetui.model.node.needs import MISSING, ON_DISK, UNKNOWN, Evidence, Need, needs
from tracetui.parse.node import module_texts, proc_modules


class ModuleDetailTexts(Protocol):
    """Details of a module (``kernel.module_files.Details``)."""

    @property
    def modinfo(self) -> Optional[str]:
        """Fields of the module, in the format of modinfo."""
        ...

    @property
    def sysfs(self) -> dict[str, str]:
        """Values of /sys/module/NAME."""
        ...

    @property
    def parameters(self) -> dict[str, Optional[str]]:
        """Values of /sys/module/NAME/parameters; None for one that only root may read."""
        ...


class ModuleSource(Protocol):
    """Source of the texts (``kernel.module_files.ModuleFiles``)."""

    def modules(self) -> Optional[str]:
        """/proc/modules; None on a kernel without loadable modules. Raises TracetuiError."""
        ...

    def built_in(self) -> Optional[str]:
        """modules.builtin."""
        ...

    def built_in_sysfs(self) -> tuple[str, ...]:
        """The built-in ones that /sys/module has."""
        ...

    def on_disk(self) -> Optional[str]:
        """modules.dep."""
        ...

    def build_options(self) -> Optional[str]:
        """The kernel's .config."""
        ...

    def loggers(self) -> Optional[str]:
        """/proc/net/netfilter/nf_log."""
        ...

    def legacy_targets(self) -> Optional[str]:
        """/proc/net/ip_tables_targets."""
        ...

    def details(self, name: str) -> ModuleDetailTexts:
        """Details of a module."""
        ...


class ModuleListing(NamedTuple):
    """The modules at one moment."""

    tree: ModuleTree
    is_loadable: bool
    """Whether this kernel has loadable modules at all."""
    skipped: int
    """Lines that could not be read."""
    needs: tuple[Need, ...]
    """Parts that tracing needs."""


class ModuleReader:
    """Reads the modules again and again; what can't change while a kernel runs is read once."""

    def __init__(self, source: ModuleSource) -> None:
        self._source = source
        self._fixed: Optional[Evidence] = None
        self._built_in: tuple[Module, ...] = ()

    def read(self) -> ModuleListing:
        """The modules now; raises TracetuiError."""
        text = self._source.modules()
        listed = proc_modules.parse(text or "")
        fixed = self._read_fixed()
        evidence = Evidence(
            loaded=None if text is None else frozenset(module.name for module in listed.modules),
            built_in=fixed.built_in,
            on_disk=fixed.on_disk,
            options=fixed.options,
            proven=self._proven(),
        )
        loaded = {module.name for module in listed.modules}
        built_in = [module for module in self._built_in if module.name not in loaded]
        tree = ModuleTree([*listed.modules, *built_in])
        return ModuleListing(tree, text is not None, listed.skipped, tuple(needs(evidence)))

    def facts(self, module: Module) -> ModuleFacts:
        """Read the facts of a module from sysfs and modinfo(8); takes a moment."""
        details = self._source.details(module.name)
        return module_texts.facts(details.modinfo, details.sysfs, details.parameters)

    def state_of_name(self, name: str) -> str:
        """BUILT_IN, ON_DISK, MISSING or UNKNOWN, of a module that is not listed."""
        fixed, name = self._read_fixed(), name.replace("-", "_")
        if name in (fixed.built_in or ()):
            return BUILT_IN_STATE
        if fixed.on_disk is None:
            return UNKNOWN
        return ON_DISK if name in fixed.on_disk else MISSING

    def _read_fixed(self) -> Evidence:
        if self._fixed is None:
            built_in, on_disk = self._source.built_in(), self._source.on_disk()
            names = None if built_in is None else module_texts.names_of_files(built_in)
            self._fixed = Evidence(
                built_in=names,
                on_disk=None if on_disk is None else module_texts.names_of_files(on_disk),
                options=module_texts.options(self._source.build_options() or ""),
            )
            every = {*(names or ()), *self._source.built_in_sysfs()}
            modules = (Module(name, 0, None, state=BUILT_IN_STATE) for name in sorted(every))
            self._built_in = tuple(module for module in modules if module.is_netfilter)
        return self._fixed

    def _proven(self) -> frozenset[str]:
        """The parts that are seen at work, by name."""
        loggers = module_texts.loggers(self._source.loggers() or "")
        targets = self._source.legacy_targets()
        evidence: Mapping[str, bool] = {
            "nflog": "nfnetlink_log" in loggers,
            "log of packets": bool(loggers & {"nf_log_ipv4", "nf_log_syslog", "ipt_LOG"}),
            "TRACE target": "TRACE" in (targets or "").split(),
            "ip_tables": targets is not None,
        }
        return frozenset(name for name, is_proven in evidence.items() if is_proven)
