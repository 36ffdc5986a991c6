"""Rulesets that came with a trace or were given by the user.

Texts to histories.
"""
