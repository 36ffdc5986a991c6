"""Sources of TRACE records: nflog, nftrace and the kernel log.

Opening them, and routing legacy records to nflog while they are needed.
"""
