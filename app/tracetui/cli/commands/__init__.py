"""The commands, a module for each.

``run(options)`` gives the exit status.
"""
