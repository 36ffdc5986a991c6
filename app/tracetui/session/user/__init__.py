"""The user's own files: settings and filter history.

Small, optional, and never read by root from another user's home.
"""
