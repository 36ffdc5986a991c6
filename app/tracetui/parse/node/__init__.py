"""Texts about kernel modules.

/proc/modules, modinfo, modules.dep.
"""
