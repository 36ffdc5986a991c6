"""Live netfilter TRACE in a terminal."""

__version__ = "0.1.0"
