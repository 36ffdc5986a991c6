"""The privileged process itself: its own limits and environment, and whose a rule is.

Read by every other room of the collector.
"""
