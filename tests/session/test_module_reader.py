"""Modules and what tracing needs, from the texts of a node and from this very machine."""

from __future__ import annotations

import gzip
import json
import os
import subprocess

import pytest
from tests.recorded import RECORDINGS

from tracetui.kernel.module_files import ModuleFiles
from tracetui.model.node.needs import BUILT_IN, LOADED, MISSING, ON_DISK
from tracetui.session.node import modules
from tracetui.session.node.module_reader import ModuleReader

CONFIG = (
    "CONFIG_NF_TABLES=y\nCONFIG_NETFILTER_XT_TARGET_TRACE=m\n# CONFIG_NF_LOG_SYSLOG is not set\n"
)


@pytest.fixture
def node(tmp_path):
    """The root of a node whose files a test writes."""

    def write(**files: object) -> ModuleReader:
        for path, text in files.items():
            file = tmp_path / PATHS[path]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else str(text).encode())
        return ModuleReader(ModuleFiles(tmp_path))

    return write


RELEASE = os.uname().release
PATHS = {
    "listing": "proc/modules",
    "config": "proc/config.gz",
    "boot": f"boot/config-{RELEASE}",
    "dep": f"lib/modules/{RELEASE}/modules.dep",
    "builtin": f"lib/modules/{RELEASE}/modules.builtin",
    "loggers": "proc/net/netfilter/nf_log",
    "targets": "proc/net/ip_tables_targets",
    "built_in_parameter": "sys/module/xt_recent/parameters/ip_list_tot",
    "initstate": "sys/module/nf_nat/initstate",
    "version": "sys/module/nf_nat/version",
    "taint": "sys/module/nf_nat/parameters/size",
}


def states(reader) -> dict[str, str]:
    return {need.part.name: need.state for need in reader.read().needs}


def test_each_file_of_a_node_proves_what_it_can(node):
    reader = node(
        listing="nf_tables 1 1 - Live 0x0\nxt_comment 1 0 - Live 0x0\n",
        config=gzip.compress(CONFIG.encode()),
        dep="kernel/net/netfilter/xt_TRACE.ko.xz: kernel/net/netfilter/x_tables.ko.xz\n",
        builtin="kernel/net/netfilter/xt_time.ko\n",
        loggers=" 2 NONE (nfnetlink_log)\n",
    )
    assert states(reader) == {
        "nf_tables": LOADED,
        "ip_tables": MISSING,
        "TRACE target": ON_DISK,
        "nflog": LOADED,
        "log of packets": MISSING,
        "limit match": MISSING,
        "time match": BUILT_IN,
        "comment match": LOADED,
    }


def test_what_was_copied_from_a_node_without_anything_else_proves_only_what_is_loaded(node):
    reader = node(listing=(RECORDINGS / "seed-proc-modules.txt").read_text())
    assert states(reader)["ip_tables"] == LOADED
    assert set(states(reader).values()) <= {LOADED, "unknown"}


def test_built_in_ones_are_listed_as_such_and_what_is_loaded_is_not_among_them(node):
    reader = node(
        listing="nf_nat 100 1 xt_MASQUERADE, Live 0x0\n",
        builtin="kernel/net/netfilter/xt_time.ko\nkernel/fs/ext4/ext4.ko\n",
        built_in_parameter="100",
        initstate="live",
    )
    found = {module.name: module.state for module in reader.read().tree.modules}
    assert found == {"nf_nat": "Live", "xt_recent": "Built in", "xt_time": "Built in"}


def test_a_broken_configuration_is_no_configuration(node):
    assert set(states(node(listing="", config=b"\x1f\x8b broken")).values()) == {"unknown"}


def test_sysfs_tells_version_and_parameters(node):
    reader = node(
        listing="nf_nat 100 1 ghost, Live 0x0 (OE)\nnf_conntrack 9 1 nf_nat, Live 0x0\n",
        version="1.2\n",
        initstate="live",
        taint="16\n",
    )
    text = modules.report(reader, "nf_nat", "name", False)
    for line in (
        "used by      ghost",
        "depends on   nf_conntrack",
        "version      1.2",
        "taint        OE",
        "parameter    size = 16",
    ):
        assert line in text.splitlines()
    value = json.loads(modules.report(reader, "nf_nat", "name", True))
    assert value["modules"][0]["parameters"] == {"size": "16"}
    assert value["modules"][0]["depends_on"] == ["nf_conntrack"]


def test_a_name_that_is_a_path_is_not_looked_up(node):
    details = ModuleFiles().details("../../etc/passwd")
    assert (details.sysfs, details.parameters, details.modinfo) == ({}, {}, None)


@pytest.mark.kernel
def test_this_machine_can_trace_and_the_list_says_so():
    """Its kernel has no loadable modules: what the list calls built in, its options call so too."""
    assert set(states(ModuleReader(ModuleFiles())).values()) <= {LOADED, BUILT_IN}
    options = subprocess.run(["zcat", "/proc/config.gz"], capture_output=True, check=True).stdout
    assert b"CONFIG_NETFILTER_XT_TARGET_TRACE=y" in options
