"""What a layer pulls in when it is imported by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "app"
PURE = ("collector", "kernel", "protocol", "parse", "model")


def modules_of(layer: str) -> list[str]:
    files = sorted((APP / "tracetui" / layer).rglob("*.py"))
    names = [".".join(file.relative_to(APP).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names]


def loaded_by(modules: list[str]) -> set[str]:
    code = (
        f"import sys, json, importlib\n[importlib.import_module(name) for name in {modules!r}]\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(APP)!r})\n{code}"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("layer", [*PURE, "session", "lab"])
def test_a_layer_below_the_ui_draws_nothing(layer):
    modules = modules_of(layer)
    assert len(modules) > 1
    loaded = loaded_by(modules)
    assert set(modules) <= loaded
    assert not {"textual", "rich"} & loaded


@pytest.mark.parametrize("layer", PURE)
def test_the_privileged_side_is_standard_library_only(layer):
    loaded = {name.partition(".")[0] for name in loaded_by(modules_of(layer))}
    known = set(loaded_by([])) | {"tracetui"}
    # sys.stdlib_module_names came with Python 3.10.
    stdlib = getattr(sys, "stdlib_module_names", None)
    if stdlib is None:
        pytest.xfail("this Python can't name its standard library")
    assert {name for name in loaded - known if name not in stdlib} == set()


def test_the_first_picture_waits_for_no_parser_and_no_dialog():
    loaded = loaded_by(["tracetui.cli.commands.replay", "tracetui.cli.terminal.screen"])
    assert "tracetui.ui.screens.main" in loaded
    assert not {
        "tracetui.parse.line_reader", "tracetui.parse.listings.xtables_save", "tracetui.ui.dialogs",
    } & loaded  # fmt: skip


def test_text_commands_load_no_textual():
    names = [
        "tracetui.cli",
        *(f"tracetui.cli.commands.{n}" for n in ("rules", "flush", "modules", "record")),
    ]
    assert not {"textual", "rich"} & loaded_by(names)
