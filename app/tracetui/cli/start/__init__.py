"""From the words typed to a running command, and what is said where it fails.

Root is given up here.
"""
