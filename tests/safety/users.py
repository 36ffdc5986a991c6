"""A user who is not root, in a mount namespace: the machine's accounts stay as they are."""

from __future__ import annotations

import sys
from pathlib import Path

from .terminal import MARK

UID, NAME, PASSWORD = 4711, "tracer", "sesame"
_HASH = (
    "$6$tracetui$rBLRFXb9QmfoaByIoPrCu5O9tLXiyhegN.0LsPzrlsnGjmzo"
    "JpaRdUtRUyj77d7sggN5YAzjqc2aZVPXvfbU41"
)
"""Of PASSWORD, by ``openssl passwd -6 -salt tracetui``."""


def as_user(directory: Path, sudoers: str = "ALL", gid: int = UID) -> tuple[str, ...]:
    """Words that run a program as a user whom sudoers lets do that much.

    ``gid`` is the user's primary group.
    """
    return ("unshare", "-m", "sh", "-ec", _script(directory, sudoers, gid), "sh")


def _script(directory: Path, sudoers: str, gid: int) -> str:
    files = {
        "passwd": (f"{NAME}:x:{UID}:{gid}::{directory}/home:/bin/sh\n", "644"),
        "group": (f"{NAME}:x:{UID}:\n", "644"),
        "shadow": (f"{NAME}:{_HASH}:20000:0:99999:7:::\n", "640"),
    }
    lines = [f"mkdir -p {directory}/etc {directory}/home"]
    for name, (line, mode) in files.items():
        (directory / name).write_text(line)
        new = f"{directory}/etc/{name}"
        lines.append(f"cat /etc/{name} {directory}/{name} > {new}; chmod {mode} {new}")
        lines.append(f"mount --bind {new} /etc/{name}")
    keep = f'Defaults env_reset, use_pty, env_keep += "{MARK} XTABLES_LOCKFILE"\n'
    (directory / "sudoers").write_text(f"{keep}{NAME} ALL=(ALL) {sudoers}\n")
    lines.append(f"chmod 440 {directory}/sudoers; mount --bind {directory}/sudoers /etc/sudoers")
    lines.append(f"chown {UID}:{UID} {directory}/home; chmod 755 {directory}")
    lines += [f"chmod a+x {path}" for path in directory.parents if path.name]
    lines += _reachable(Path(sys.base_prefix))
    lines.append(
        f'exec setpriv --reuid {UID} --regid {gid} --clear-groups env HOME={directory}/home "$@"'
    )
    return "\n".join(lines)


def _reachable(path: Path) -> list[str]:
    """Lines that let everybody into a directory that lies below root's own."""
    if Path("/root") not in path.parents:
        return []
    return [
        f"mkdir -p /tmp/tracetui-python; mount --bind {path} /tmp/tracetui-python",
        f"mount -t tmpfs -o mode=755 tmpfs /root; mkdir -p {path}",
        f"mount --move /tmp/tracetui-python {path}",
    ]
