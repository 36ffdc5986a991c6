"""Values and rules of netfilter tracing, with no I/O.

A room for each subject; everything above works with what is defined here.
"""
