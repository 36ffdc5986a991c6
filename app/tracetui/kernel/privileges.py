"""What this process may do, and giving that up."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Optional

from tracetui.errors import Failure

_CAP_NET_ADMIN = 12
"""include/uapi/linux/capability.h."""


_NO_ID = 0xFFFFFFFF
"""(uid_t)-1, which means no user (setuid(2)); no number above it fits."""


class Invoker(NamedTuple):
    """The user who became root to start this process."""

    uid: int
    gid: int
    name: Optional[str]
    """None for a user that /etc/passwd does not know."""
    home: Optional[str]


def may_trace() -> bool:
    """Whether rules can be added and trace events received: CAP_NET_ADMIN is effective."""
    try:
        status = Path("/proc/self/status").read_text(errors="replace")
    except OSError:
        return False
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_NET_ADMIN & 1)
    return False


def invoker() -> Optional[Invoker]:
    """Who started this root process through sudo, doas or pkexec; None if nobody, or root did.

    They leave that in the environment (sudo(8), doas(1), pkexec(1)).
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = _entry()
    except (KeyError, ValueError):
        return None
    if entry is None or not (0 < entry.uid < _NO_ID and 0 < entry.gid < _NO_ID):
        return None
    return entry


def drop_to_invoker() -> bool:
    """Become the invoking user for good, with no way back; False where there is none."""
    user = invoker()
    if user is None:
        return False
    _take_groups(user)
    os.setgid(user.gid)
    os.setuid(user.uid)
    if os.getresuid() != (user.uid,) * 3 or os.getresgid() != (user.gid,) * 3:
        raise Failure("root could not be given up")
    if user.name and user.home:
        os.environ.update(HOME=user.home, USER=user.name, LOGNAME=user.name)
    return True


@contextmanager
def acting_as_invoker() -> Iterator[None]:
    """Touch files as the invoking user, where there is one; to be used by a single thread."""
    user = invoker()
    if user is None:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    _take_groups(user)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _entry() -> Optional[Invoker]:
    environment = os.environ
    if "DOAS_USER" in environment:
        return _known(pwd.getpwnam(environment["DOAS_USER"]))
    for name in ("SUDO_UID", "PKEXEC_UID"):
        if name in environment:
            uid = int(environment[name])
            try:
                return _known(pwd.getpwuid(uid))
            except KeyError:
                return Invoker(uid, int(environment["SUDO_GID"]), None, None)
    return None


def _known(entry: pwd.struct_passwd) -> Invoker:
    return Invoker(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir)


def _take_groups(user: Invoker) -> None:
    if user.name:
        os.initgroups(user.name, user.gid)
    else:
        os.setgroups([user.gid])
