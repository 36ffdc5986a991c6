"""Packets written: JSON, text, Markdown, and our own record.

With the files they are written to.
"""
