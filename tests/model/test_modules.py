"""The Used-by tree."""

from __future__ import annotations

from tests.recorded import RECORDINGS

from tracetui.model.node.module import Module, ModuleTree
from tracetui.parse.node import proc_modules

TREE = ModuleTree(proc_modules.parse((RECORDINGS / "seed-proc-modules.txt").read_text()).modules)


def test_netfilters_come_first_each_by_name():
    kinds = [module.is_netfilter for module in TREE.modules]
    assert kinds == sorted(kinds, reverse=True)
    names = [module.name for module in TREE.modules if module.is_netfilter]
    assert names == sorted(names)
    assert "nf_conntrack" in names
    assert "ena" not in names


def test_users_are_those_the_kernel_names():
    users = TREE.users(TREE.find("nf_conntrack"))
    assert [module.name for module in users] == ["nf_conntrack_ipv4", "nf_nat", "nf_nat_ipv4"]


def test_a_dash_in_a_name_means_an_underscore():
    assert TREE.find("nf-conntrack") is TREE.find("nf_conntrack")
    assert TREE.find("nothing") is None


def test_references_that_no_module_holds_are_counted():
    assert Module("a", 1, 3, ("b",)).unexplained == 2
    assert Module("a", 1, None).unexplained == 0


def test_a_user_that_is_not_listed_is_shown_by_name():
    tree = ModuleTree([Module("a", 1, 1, ("ghost",))])
    assert [user.name for user in tree.users(tree.find("a"))] == ["ghost"]
