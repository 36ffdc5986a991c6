"""Rulesets as nft and iptables list them.

One module for each form of listing.
"""
