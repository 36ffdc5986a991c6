"""Short names for long texts."""

from __future__ import annotations


def digest(text: str) -> str:
    """Six hex digits that name a text: the beginning of its SHA-256."""
    # OpenSSL takes milliseconds to load, and most starts meet no rule.
    import hashlib

    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:6]
