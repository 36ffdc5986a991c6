"""Frames and commands on the pipes between the collector and a session.

Shared by both ends, and by nothing else.
"""
