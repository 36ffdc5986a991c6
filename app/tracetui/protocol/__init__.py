"""The pipes between the collector and a session: frames, events, commands and their replies.

Shared by both ends, and by nothing else.
"""
