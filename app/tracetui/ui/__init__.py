"""The full screen: the application, its keys and its dialogs.

The only layer that draws.
"""
