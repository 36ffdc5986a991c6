"""The privileged process: it installs TRACE rules, receives hops and guards the node.

Standard library only; everything it does can be undone by its watchdog.
"""
