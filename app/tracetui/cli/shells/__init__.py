"""Completion scripts, a module for each shell.

Made from the grammar.
"""
