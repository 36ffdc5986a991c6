"""Kernel messages in logs: wrappers, stamps, and the TRACE record itself.

One module for each part of a line.
"""
