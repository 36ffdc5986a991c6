"""What every session holds: packets, explanations, guard, notices.

The protocol Session says what a screen may ask.
"""
