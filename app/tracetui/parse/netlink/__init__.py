"""Netlink messages of nftrace and nflog to hops.

Attribute layouts follow include/uapi/linux/netfilter/.
"""
