"""Text and bytes to values, with no I/O: kernel messages, listings, other programs' traces.

A room for each kind of format; line_reader and structured choose among them.
"""
