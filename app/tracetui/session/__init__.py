"""A trace as a screen or a headless command knows it: live or replayed.

Nothing here draws, and nothing here is privileged.
"""
