"""Modules out of memory: of the one file, tracetui.pyz, and of files that can't be read any more.

Standard library only, and as little of that as can be: all else waits for it.
"""
