"""What a real shell completes with the scripts of ``tracetui completion``."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tracetui.cli.grammar.parser import SHELLS, parser

COMMANDS = ("replay", "record", "rules", "flush", "modules", "doctor", "demo", "completion", "man")
PLAIN = {
    "bash": ["bash", "--norc", "--noprofile"],
    "zsh": ["zsh", "-f"],
    "fish": ["fish"],
}
if (
    shutil.which("fish")
    and not subprocess.run(
        ["fish", "--no-config", "-c", ""], check=False, stderr=subprocess.DEVNULL
    ).returncode
):
    # Before fish 3.5 there is no such option.
    PLAIN["fish"].append("--no-config")
BEFORE = {
    "bash": "PS1='$ '\nbind 'set enable-bracketed-paste off'\n",
    "zsh": "autoload -U compinit\ncompinit -u -D\nPS1='%% '\n",
    "fish": "",
}
REPORT = {
    "bash": "tracetui() { printf '<%s>' \"$@\"; echo '(end)'; }\n",
    "zsh": "tracetui() { printf '<%s>' \"$@\"; echo '(end)'; }\n",
    "fish": "function tracetui; printf '<%s>' $argv; echo '(end)'; end\n",
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> dict[str, Path]:
    """The script for each shell, as the program prints it."""
    found = {}
    for shell in SHELLS:
        found[shell] = tmp_path_factory.mktemp("completion") / f"tracetui.{shell}"
        with found[shell].open("wb") as file:
            subprocess.run(
                [sys.executable, "-m", "tracetui", "completion", shell], stdout=file, check=True
            )
    return found


@pytest.fixture
def offered(scripts):
    """What bash or fish offers for a line, the cursor at its end."""

    def ask(shell: str, line: str) -> list[str]:
        source = f"source {scripts[shell]}\n"
        if shell == "fish":
            # Behind each word stands its description.
            out = run(shell, f"{source}complete -C {shlex.quote(line)}")
            return [one.split("\t")[0] for one in out.splitlines()]
        words = [*shlex.split(line), *([""] if line.endswith(" ") else [])]
        typed = " ".join(map(shlex.quote, words))
        state = f"COMP_WORDS=({typed})\nCOMP_CWORD={len(words) - 1}\n_tracetui\n"
        return run(shell, f"{source}{state}printf '%s\\n' \"${{COMPREPLY[@]}}\"").split()

    return ask


@pytest.fixture
def completed(scripts, tmp_path):
    """The words a command gets when so many keys were typed in a shell, Tab among them."""

    def press(shell: str, keys: str) -> list[str]:
        rc = tmp_path / "rc"
        source = f"source {scripts[shell]}\n"
        rc.write_text(f"{BEFORE[shell]}{REPORT[shell]}{source}echo 'rea''dy'\n")
        with Typist([*PLAIN[shell], "-i"], tmp_path) as typist:
            typist.type(f"source {rc}\r")
            typist.wait_for("ready")
            head, _, tail = keys.partition("\t")
            typist.type(f"{head}\t")
            # With more keys to read, zsh takes Tab for a part of a text that is pasted.
            time.sleep(0.5)
            typist.type(f"{tail}\r")
            typist.wait_for("(end)")
            line = next(one for one in typist.seen.splitlines() if "(end)" in one)
        return line[line.index("<") + 1 : line.rindex(">")].split("><")

    return press


class Typist:
    """Somebody at a shell."""

    def __init__(self, argv: list[str], home: Path) -> None:
        self.seen = ""
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(home)
            env = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", "LANG": "C.UTF-8"}
            os.execvpe(argv[0], argv, env)  # noqa: S606 - the shell is what is tested

    def __enter__(self) -> Typist:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        os.kill(self._pid, 9)
        os.waitpid(self._pid, 0)

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait_for(self, text: str, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while text not in self.seen:
            left = end - time.monotonic()
            assert select.select([self._fd], [], [], max(0.0, left))[0], self.seen
            self.seen += os.read(self._fd, 65536).decode(errors="replace")


def run(shell: str, text: str) -> str:
    done = subprocess.run(
        [*PLAIN[shell], "-c", text], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_sound_and_sourced_in_silence(shell, scripts):
    assert shutil.which(shell), f"install {shell}: the README's test command does"
    subprocess.run([shell, "-n", str(scripts[shell])], check=True)
    before = BEFORE[shell] if shell == "zsh" else ""
    assert run(shell, f"{before}source {scripts[shell]}") == ""


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tracetui ", COMMANDS),
        ("tracetui re", ("replay", "record")),
        ("tracetui --netns x --guard 5 ru", ("rules",)),
        ("tracetui --netns record ru", ("rules",)),
        ("tracetui rules ", ("list", "add", "delete")),
        ("tracetui rules --netns add d", ("delete",)),
        ("tracetui replay --fo", ("--follow", "--format")),
        ("tracetui replay --format ", ("tui", "text", "json")),
        ("tracetui replay x --format j", ("json",)),
        ("tracetui record --chain ", ("PREROUTING", "OUTPUT")),
        ("tracetui -p udp", ("udp", "udplite")),
        ("tracetui -p udp -i l", ("lo",)),
        ("tracetui rules add -o l", ("lo",)),
        ("tracetui rules add --back", ("--backend",)),
        ("tracetui record --seconds ", ()),
        ("tracetui -s ", ()),
        ("tracetui completion ", SHELLS),
        ("tracetui flush --a", ("--all",)),
    ],
)
def test_words_are_offered_where_they_belong(shell, line, words, offered):
    assert sorted(offered(shell, line)) == sorted(words)


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_every_option_of_every_command_is_offered(shell, offered):
    for command in parser().all():
        long = {flag for flag in command.flags() if flag.startswith("--")}
        assert set(offered(shell, f"{command.prog} --")) == long


def test_bash_offers_the_values_of_an_option_behind_a_sign(offered):
    assert offered("bash", "tracetui replay --format = t") == ["tui", "text"]
    assert offered("bash", "tracetui replay --format =") == ["tui", "text", "json"]
    assert offered("bash", "tracetui --netns = x ru") == ["rules"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("tracetui repl\t", ["replay"]),
        ("tracetui --netns a rules de\t", ["--netns", "a", "rules", "delete"]),
        ("tracetui rules add -i l\t", ["rules", "add", "-i", "lo"]),
        ("tracetui replay --fol\tx", ["replay", "--follow", "x"]),
        ("tracetui modules --sort re\t", ["modules", "--sort", "references"]),
        ("tracetui replay a\\ lo\t", ["replay", "a log.txt"]),
        ("tracetui replay --ruleset a\\ lo\t", ["replay", "--ruleset", "a log.txt"]),
        ("tracetui record -w a\\ lo\t", ["record", "-w", "a log.txt"]),
        ("tracetui flush a\\ lo\t", ["flush", "a lo"]),
    ],
)
def test_tab_completes_in_the_shell_itself(shell, keys, words, completed, tmp_path):
    (tmp_path / "a log.txt").touch()
    assert [one.rstrip() for one in completed(shell, keys)] == words


@pytest.mark.kernel
@pytest.mark.parametrize("shell", SHELLS)
def test_network_namespaces_are_offered(shell, completed, namespace):
    words = completed(shell, f"tracetui --netns {namespace.name[:-1]}\t")
    assert [one.rstrip() for one in words] == ["--netns", namespace.name]


def test_the_name_of_a_namespace_is_never_run(scripts, tmp_path):
    """Bash would expand what it is given as words."""
    names = tmp_path / "netns"
    names.mkdir()
    (names / "$(touch ran)").touch()
    (names / "a b").touch()
    state = f"cur=''\n_tracetui_names {names}\n"
    ask = f"cd {tmp_path}\nsource {scripts['bash']}\n{state}"
    out = run("bash", ask + "printf '%s\\n' \"${COMPREPLY[@]}\"")
    assert out.splitlines() == ["\\$\\(touch\\ ran\\)", "a\\ b"]
    assert not (tmp_path / "ran").exists()
