"""Snapshots of the node's ruleset while hops arrive.

Texts go to the session unparsed.
"""
