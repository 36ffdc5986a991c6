"""Hops, the packets they belong to, and the paths that packets took.

Nothing here knows a rule: what the kernel sent, put in order.
"""
