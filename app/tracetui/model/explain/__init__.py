"""Explanations: the rule behind each hop, what it changed, and the verdict of a packet.

From a packet and a ruleset history; an unknown stays unknown.
"""
