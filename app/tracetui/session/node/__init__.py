"""Kernel modules and the checkup, as text and as JSON.

What `tracetui modules` and `tracetui doctor` print.
"""
