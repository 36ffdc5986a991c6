"""The command line: options, their help, the manual.

Completions and the man page are made from it.
"""
