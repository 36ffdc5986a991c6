"""The rate guard at work: what a trip removes, and what is told of it.

The rule when to trip is in model/tracing.
"""
