"""The user's terminal: streams, encodings, the screen, and giving it back.

Also after a screen that was killed.
"""
