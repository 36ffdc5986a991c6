"""Numbers of the kernel's interface that several modules share (include/uapi/linux)."""

from __future__ import annotations

NETLINK_NETFILTER = 12
"""netlink.h: the protocol of nfnetlink."""
NLMSG_ERROR, NLMSG_DONE = 2, 3
"""netlink.h."""
NFT_MSG_GETCHAIN, NFT_MSG_GETRULE = 4, 7
"""netfilter/nf_tables.h."""
NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME = 1, 3
NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE, NFTA_RULE_EXPRESSIONS = 1, 2, 3, 4
