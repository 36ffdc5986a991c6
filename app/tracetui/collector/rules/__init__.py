"""TRACE rules of the raw tables: listing, inserting, removing.

Ours are found by the tag in their comment, whatever else a table holds.
"""
