"""A live trace: the collector's process, its frames, and the packets they become.

Also the recorder of a trace without a screen.
"""
