"""Rulesets as the kernel holds them: chains, rules, their parsed texts, and their history.

Which rule stood where, and when.
"""
