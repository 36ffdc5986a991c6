"""Traces as other programs print them: nft monitor, xtables-monitor, ulogd2, tshark.

One module for each program.
"""
