"""Screens and dialogs.

One module for each.
"""
