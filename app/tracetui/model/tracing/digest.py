"""Short names for long texts."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1024)
def digest(text: str) -> str:
    """Six hex digits that name a text: the beginning of its SHA-256.

    Remembered: a rule on the screen is asked for its name several times a second.
    """
    # OpenSSL takes milliseconds to load, and most starts meet no rule.
    import hashlib

    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:6]
