"""Packet headers, from bytes and from printed bytes.

Shared by every format that carries a packet.
"""
