"""Filters: the expression language, its terms, and the view filter of the screen.

Terms ask of a packet or of its explanation.
"""
