"""Answers of nf_tables that a change interrupted: no socket is needed for them."""

from __future__ import annotations

import pytest
from tests.fuzz.test_kernel_rules import NFT_RULE

from tracetui.errors import Failure
from tracetui.kernel import nft_raw_tables, nft_socket
from tracetui.kernel.nft_raw_tables import READINGS, NftRawTables

OURS = ("ip", NFT_RULE | {1: b"raw\0"})


class Kernel:
    """Answers each listing with the next of some, each interrupted or whole."""

    listings: list[tuple[bool, list]]

    def __init__(self) -> None:
        self.was_interrupted = False

    def generation(self) -> int:
        return 7

    def ask(self, kind: int, flags: int = 0, family: int = 0, attributes: bytes = b""):
        self.was_interrupted, messages = Kernel.listings.pop(0)
        yield from messages

    def close(self) -> None:
        """Nothing."""


@pytest.fixture
def tables(monkeypatch) -> NftRawTables:
    monkeypatch.setattr(nft_raw_tables, "NftSocket", Kernel)
    return NftRawTables()


def test_a_listing_that_lacks_a_rule_is_read_anew(tables):
    Kernel.listings = [(True, []), (False, [OURS])]
    assert [rule.handle for rule in tables.rules(4)] == [7]


def test_a_rule_that_is_not_found_is_looked_for_anew(tables):
    Kernel.listings = [(True, []), (False, [OURS])]
    assert tables.find(4, "OUTPUT", "tracetui:1.2.3/abcdef").handle == 7


def test_what_is_interrupted_again_and_again_is_not_known(tables):
    for ask in (lambda: tables.rules(4), lambda: tables.find(4, "OUTPUT", "tracetui:1.2.3/x")):
        Kernel.listings = [(True, [])] * READINGS
        with pytest.raises(Failure, match="all the time"):
            ask()


def test_the_kernel_s_mark_is_read():
    """NLM_F_DUMP_INTR on any message of an answer (include/uapi/linux/netlink.h)."""

    class Wire:
        def send(self, request: bytes) -> int:
            return len(request)

        def recvfrom(self, size: int) -> tuple[bytes, tuple[int, int]]:
            head = nft_socket._MESSAGE_HEAD
            return head.pack(20, 0x0A06, 0x12, 1, 0, 2, 0, 0) + head.pack(
                20, 3, 2, 1, 0, 0, 0, 0
            ), (0, 0)

        def close(self) -> None:
            """Nothing."""

    socket = nft_socket.NftSocket(Wire())
    assert len(list(socket.ask(7, nft_socket.DUMP))) == 1
    assert socket.was_interrupted
