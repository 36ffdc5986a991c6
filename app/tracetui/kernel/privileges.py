"""The privileges of this process, and giving them up."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Optional

from tracetui.errors import Failure, NotPermitted

_CAP_NET_ADMIN = 12
"""include/uapi/linux/capability.h."""


_NO_ID = 0xFFFFFFFF
"""(uid_t)-1, which means no user (setuid(2)); no number above it fits."""
_VARIABLES = ("DOAS_USER", "SUDO_UID", "PKEXEC_UID")
"""Variables that name the invoker; the first one counts (doas(1), sudo(8), pkexec(1))."""


class Invoker(NamedTuple):
    """The user who became root to start this process."""

    uid: int
    gid: int
    name: Optional[str]
    """The user's name; None for one that /etc/passwd does not know."""
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
    """Find who started this root process through sudo, doas or pkexec; None if nobody, or root did.

    Raises NotPermitted where that is told by words that name no user: nobody then knows whose
    files are touched, and root's are not to be.
    """
    if os.geteuid() != 0:
        return None
    variable = next((name for name in _VARIABLES if name in os.environ), None)
    if variable is None:
        return None
    try:
        user = _named(variable)
        if not (0 <= user.uid < _NO_ID and 0 <= user.gid < _NO_ID):
            raise ValueError("beyond every id")
    except (KeyError, ValueError, OverflowError):
        raise NotPermitted(
            f"{variable}={os.environ[variable]!r} names no user: run it through sudo, or "
            f"`unset {variable}` where root itself runs it"
        ) from None
    return user if user.uid else None


def drop_to_invoker() -> bool:
    """Become the invoking user for good, with no way back; False where there is none.

    Raises Failure where root can't be given up.
    """
    user = invoker()
    if user is None:
        return False
    try:
        _take_groups(user)
        os.setgid(user.gid)
        os.setuid(user.uid)
    except OSError as error:
        raise Failure(f"root could not be given up: {error.strerror}") from None
    if os.getresuid() != (user.uid,) * 3 or os.getresgid() != (user.gid,) * 3:
        raise Failure("root could not be given up")
    if user.name and user.home:
        os.environ.update(HOME=user.home, USER=user.name, LOGNAME=user.name)
    return True


@contextmanager
def acting_as_invoker() -> Iterator[None]:
    """Touch files as the invoking user, where there is one; to be used by a single thread.

    Raises NotPermitted as :func:`invoker` does.
    """
    user = invoker()
    if user is None:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    try:
        _take_groups(user)
        os.setegid(user.gid)
        os.seteuid(user.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _named(variable: str) -> Invoker:
    """The user a variable names; raises KeyError, ValueError or OverflowError if it names none."""
    value = os.environ[variable]
    if variable == "DOAS_USER":
        return _known(pwd.getpwnam(value))
    uid = _number(value)
    try:
        return _known(pwd.getpwuid(uid))
    except KeyError:
        return Invoker(uid, _number(os.environ["SUDO_GID"]), None, None)


def _number(text: str) -> int:
    """A user or group id as sudo writes one; raises ValueError."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _known(entry: pwd.struct_passwd) -> Invoker:
    return Invoker(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir)


def _take_groups(user: Invoker) -> None:
    if user.name:
        os.initgroups(user.name, user.gid)
    else:
        os.setgroups([user.gid])
