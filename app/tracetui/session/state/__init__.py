"""The state of every session: packets, explanations, guard, notices.

The protocol Session says what a screen may ask.
"""
