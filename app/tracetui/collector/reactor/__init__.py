"""The receive loop's parts: jobs from other threads, workers for what blocks, the pipe upwards.

Nothing here knows a rule or a source.
"""
