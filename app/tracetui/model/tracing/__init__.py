"""TRACE rules: what may be asked for, what is installed, what it costs, and the guard.

Everything that decides what is done to the node.
"""
