"""A replay: files, compressed or growing, and the packets in them.

Lines are read here; parse knows their formats.
"""
