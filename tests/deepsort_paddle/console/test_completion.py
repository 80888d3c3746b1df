"""``--print-completion``: what a shell makes of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deepsort_paddle.cli import track

BASH = """
source {script}
COMP_WORDS=({words} "{last}"); COMP_CWORD={place}
_shtab_deepsort_track deepsort-track "{last}" ""
echo "${{COMPREPLY[@]}}"
"""


def script_of(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit) as ended:
        track(["--print-completion", shell])
    assert ended.value.code == 0
    return capsys.readouterr().out


def completed(shell: str, script: str, folder: Path, words: str, last: str) -> list[str]:
    """What the shell offers for the last word."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    path = folder / "completion"
    path.write_text(script)
    if shell == "bash":
        text = BASH.format(script=path, words=words, last=last, place=len(words.split()))
    else:
        text = f'source {path}; complete -C "{words} {last}"'
    command = [shell, "--norc", "--noprofile"] if shell == "bash" else [shell, "--no-config"]
    done = subprocess.run([*command, "-c", text], capture_output=True, text=True, cwd=folder, check=True)
    assert done.stderr == ""
    lines = done.stdout.split() if shell == "bash" else done.stdout.splitlines()
    return [line.partition("\t")[0] for line in lines]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_options_their_values_and_files_are_completed(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = script_of(shell, capsys)
    offered = completed(shell, script, tmp_path, "deepsort-track", "--save-v")
    assert offered == ["--save-video"]
    offered = completed(shell, script, tmp_path, "deepsort-track x.mp4 --preset", "")
    assert sorted(offered) == ["deepsort", "motion", "strong"]
    (tmp_path / "street.yaml").touch()
    assert completed(shell, script, tmp_path, "deepsort-track --config", "str") == ["street.yaml"]


def test_zsh_takes_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = script_of("zsh", capsys)
    assert script.startswith("#compdef deepsort-track\n")
    if shutil.which("zsh"):
        (tmp_path / "_deepsort-track").write_text(script)
        subprocess.run(["zsh", "-n", tmp_path / "_deepsort-track"], check=True)


def test_an_unknown_shell_and_a_missing_library_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert track(["--print-completion", "ksh"]) == 2
    error = "deepsort-track: error: --print-completion: expected bash, zsh, fish, got 'ksh'\n"
    assert capsys.readouterr().err == error
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert track(["--print-completion", "zsh"]) == 2
    error = "shtab is not installed: pip install shtab (part of the extra completion)"
    assert capsys.readouterr().err == f"deepsort-track: error: {error}\n"
