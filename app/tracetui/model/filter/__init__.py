"""Filters: the expression language, its terms, and the view filter of the screen.

What can be asked of a packet or of its explanation.
"""
