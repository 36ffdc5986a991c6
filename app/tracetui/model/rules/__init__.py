"""Rulesets as the kernel holds them: chains, rules, their parsed texts, and their history.

Which rule was where, and when.
"""
