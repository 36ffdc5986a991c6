"""System calls, netlink sockets, files of /proc and the iptables commands.

Bytes and text are handed on unread; parse knows what they mean.
"""
