"""Loading a kernel module (modprobe(8)); nothing here unloads one."""

from __future__ import annotations

from tracetui.errors import CommandFailed, Failure
from tracetui.kernel import command_line

_MODPROBE_SECONDS = 20.0


def load(name: str) -> None:
    """Load a module and what it needs; raises Failure with what modprobe says."""
    command = command_line.find("modprobe")
    if command is None:
        raise Failure(f"no module loaded: modprobe (kmod) is not installed; {name} may be built in")
    try:
        command_line.run([command, "--", name], _MODPROBE_SECONDS)
    except CommandFailed as error:
        raise Failure(f"no module loaded: {error}") from None
