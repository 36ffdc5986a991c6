"""Programs that stand before the node's own, as an admin's in /usr/local/sbin do."""

from __future__ import annotations

from pathlib import Path


def before_others(directory: Path) -> tuple[str, ...]:
    """The words in front of a command for which a folder's programs come before all others.

    The collector looks in root's own folders first, whatever PATH it is given; so the folder is
    mounted over the first of them, for that command alone.
    """
    mount = f'mount --bind {directory} /usr/local/sbin && exec "$@"'
    return ("unshare", "-m", "sh", "-c", mount, "sh")


def without(directory: Path, *patterns: str) -> tuple[str, ...]:
    """The words in front of a command for which programs of the packet filter are not installed.

    ``patterns`` are those of their names in /usr/sbin, as a shell has them.
    """
    lost = " ".join(f"{directory}/{pattern}" for pattern in patterns)
    hide = (
        f"mount -t tmpfs none {directory} && cp -a /usr/sbin/*tables* /usr/sbin/nft {directory} && "
        f'rm -f {lost} && mount --bind {directory} /usr/sbin && exec "$@"'
    )
    return ("unshare", "-m", "sh", "-c", hide, "sh")


def read_only(path: str) -> tuple[str, ...]:
    """The words in front of a command that finds a folder, and all below it, read-only."""
    mount = f'mount --rbind {path} {path} && mount -o remount,ro,bind {path} && exec "$@"'
    return ("unshare", "-m", "sh", "-c", mount, "sh")
