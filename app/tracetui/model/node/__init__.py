"""The node: its kernel modules, what tracing needs of them, and why nothing is shown.

Facts come in as values; reading them is the business of kernel and session.
"""
