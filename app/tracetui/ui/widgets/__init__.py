"""Widgets of the screens.

One module for each; they show a session and send messages.
"""
