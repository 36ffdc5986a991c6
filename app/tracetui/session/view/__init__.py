"""Views of a session: filtered packets, path groups, completions.

Derived from the state, a bounded piece at a time.
"""
