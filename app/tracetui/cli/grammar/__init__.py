"""What can be typed: options, their help, the manual.

Completions and the man page are made from it.
"""
