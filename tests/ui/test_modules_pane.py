"""The modules: both directions, sorted, looked for, and what tracing needs of them."""

from __future__ import annotations

import pytest
from textual.widgets import Tree

from tracetui.kernel.module_files import ModuleDetails
from tracetui.model.node.module import Module
from tracetui.model.node.needs import LOADABLE

from .conftest import MODULES

LACKING = {"on_disk": "net/netfilter/xt_TRACE.ko.zst: x_tables.ko\n", "built_in": "xt_time.ko\n"}


def top(screen) -> list[str]:
    tree = screen.app.screen.query_one("#tree", Tree)
    return [node.data.name for node in tree.root.children if isinstance(node.data, Module)]


async def go_to(screen, name: str) -> Tree:
    tree = screen.app.screen.query_one("#tree", Tree)
    node = next(n for n in tree.root.children if getattr(n.data, "name", n.data) == name)
    await screen.press("1")
    tree.move_cursor(node)
    return tree


async def test_they_are_sorted_by_a_key(shown):
    async with shown(size=(120, 60)) as screen:
        await screen.press("1")
        by_name = top(screen)
        await screen.press("s")
        assert top(screen)[0] == "xfs"
        assert "by size" in screen.whole()
        await screen.press("s")
        assert top(screen)[0] == "cryptd"
        await screen.press("s")
        assert top(screen) == by_name


async def test_a_key_turns_the_tree_round(shown):
    async with shown(size=(120, 60)) as screen:
        tree = await go_to(screen, "nf_nat")
        assert "used by" in screen.whole()
        await screen.press("r")
        assert "depends on" in screen.whole()
        await go_to(screen, "nf_nat")
        await screen.press("enter")
        node = tree.cursor_node
        assert [child.data.name for child in node.children] == ["libcrc32c", "nf_conntrack"]


async def test_arrows_unfold_and_fold(shown):
    async with shown(size=(120, 60)) as screen:
        tree = await go_to(screen, "nf_nat")
        await screen.press("right")
        assert tree.cursor_node.is_expanded
        await screen.press("right")
        assert tree.cursor_node.data.name == "nf_nat_ipv4"
        await screen.press("left")
        assert tree.cursor_node.data.name == "nf_nat"
        await screen.press("left", "left")
        assert not tree.cursor_node.is_expanded
        assert "r users/needs" in screen.whole()


async def test_they_fold_by_themselves_where_nothing_is_missing(shown):
    everything = "".join(f"{name} 1 0 - Live 0x0\n" for name in sorted(LOADABLE))
    async with shown(size=(120, 40), modules=everything) as screen:
        assert "Modules" not in screen.whole()
        assert "TRACE rules" in screen.whole()
        await screen.press("m")
        assert f"Modules · {len(LOADABLE)} loaded" in screen.whole()
        assert screen.app.settings.modules is True
        await screen.press("m", "1")
        assert screen.app.focused.id == "tree"
    async with shown(size=(80, 24), modules=everything) as screen:
        assert "Modules" not in screen.whole()
        await screen.press("m")
        assert "what tracing needs" in screen.whole()


async def test_one_is_looked_for_by_a_part_of_its_name(shown):
    async with shown(size=(120, 60)) as screen:
        await screen.press("1", "slash")
        await screen.write("nat")
        assert top(screen) == ["iptable_nat", "nf_nat", "nf_nat_ipv4"]
        assert "3 of 34" in screen.whole()
        await screen.press("enter", "escape")
        assert len(top(screen)) == 34
        # Elsewhere the key looks for packets.
        await screen.press("3", "slash")
        assert screen.app.focused.id == "src"


async def test_everything_known_of_one_is_shown(shown):
    told = ModuleDetails("description:    \x1b[2Jnetfilter NAT\n", {"version": "7"}, {"size": None})
    async with shown(size=(120, 60), details=told) as screen:
        await go_to(screen, "nf_nat")
        await screen.press("i")
        await screen.app.workers.wait_for_complete()
        await screen.settle()
        whole = screen.whole()
        for text in ("�[2Jnetfilter NAT", "depends on   libcrc32c, nf_conntrack", "version      7"):
            assert text in whole, text
        assert "size = (root only)" in whole
        await screen.press("escape")
        assert "Esc closes" not in screen.whole()


@pytest.mark.parametrize(("answer", "orders"), [("y", [("load", "xt_TRACE")]), ("n", [])])
async def test_what_is_missing_is_said_and_loaded_only_when_confirmed(shown, answer, orders):
    async with shown(size=(120, 60), **LACKING) as screen:
        assert "6 not loaded" in screen.whole()
        tree = await go_to(screen, "needs")
        await screen.press("enter")
        lines = [str(node.label) for node in tree.cursor_node.children]
        assert any("○ TRACE target" in line and "not loaded" in line for line in lines)
        assert any("✓ time match" in line and "built in" in line for line in lines)
        at = next(i for i, line in enumerate(lines) if "TRACE target" in line)
        tree.move_cursor(tree.cursor_node.children[at])
        await screen.press("l")
        assert "modprobe xt_TRACE" in screen.whole()
        await screen.press(answer)
        assert screen.session.orders == orders


async def test_what_is_there_is_not_loaded(shown):
    async with shown(size=(120, 60), built_in="xt_time.ko\n") as screen:
        tree = await go_to(screen, "needs")
        await screen.press("enter")
        at = next(n for n in tree.cursor_node.children if "time match" in str(n.label))
        tree.move_cursor(at)
        await screen.press("l")
        assert screen.session.orders == []
        assert "Load a kernel module" not in screen.whole()


async def test_the_pane_follows_changes_and_keeps_its_place(shown):
    async with shown(size=(120, 60)) as screen:
        tree = await go_to(screen, "nf_nat")
        await screen.press("enter")
        line = tree.cursor_line
        screen.modules.listing = MODULES + "xt_time 100 0 - Live 0x0\n"
        screen.app.screen.query_one("#modules").look()
        await screen.settle()
        assert "xt_time" in top(screen)
        assert tree.cursor_line == line
        assert next(
            n for n in tree.root.children if getattr(n.data, "name", "") == "nf_nat"
        ).is_expanded
