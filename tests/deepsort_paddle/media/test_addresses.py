"""A name that exists as a file is a file, whatever it looks like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.media.addresses import is_address, is_film
from deepsort_paddle.media.source import VideoWriter, open_source

NAMES = [
    "12:30:05.mp4",
    "2024-11-14T22:57:44+02:00.mp4",
    "cam1:2024.mp4",
    "data:x.mp4",
    "pipe:0.mp4",
    "concat:x.mp4",
    "file:x.mp4",
    "subfile,,start,0,end,0,,:x.mp4",
    "http:x.mp4",
    "a b:c.mp4",
    "x%03d[1]*.mp4",
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a video clip.mp4 and detections det.txt."""
    monkeypatch.chdir(tmp_path)
    with VideoWriter("clip.mp4", fps=10) as video:
        for number in range(4):
            video.write(np.full((48, 96, 3), 40 * number, np.uint8))
    Path("det.txt").write_text("".join(f"{number},-1,9,9,10,20,0.9\n" for number in range(1, 5)))
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["{}", "./{}", "sub/{}", "absolute"])
def test_a_file_with_a_colon_in_its_name_is_a_file(here: Path, name: str, form: str) -> None:
    source = str(here / name) if form == "absolute" else form.format(name)
    Path(source).parent.mkdir(exist_ok=True)
    Path("clip.mp4").rename(source)
    with open_source(source) as frames:
        assert [frame.number for frame in frames] == [1, 2, 3, 4]


def test_a_stem_of_digits_or_an_address_is_a_file_where_it_exists(here: Path) -> None:
    Path("clip.mp4").rename("0")
    with open_source("0") as frames:
        assert not frames.live
    Path("rtsp:").mkdir()
    Path("0").rename("rtsp:/clip.mp4")
    assert not is_address("rtsp://clip.mp4")
    assert is_address("rtsp://camera/1")
    with open_source("rtsp://clip.mp4") as frames:
        assert len(list(frames)) == 4


def test_outputs_with_colons_are_files(here: Path) -> None:
    Path("clip.mp4").rename("12:30:05.mp4")
    outputs = {"output": "12:o.txt", "save-video": "12:o.mp4", "json": "12:o.json", "report": "data:o.html"}
    arguments = [word for option, name in outputs.items() for word in (f"--{option}", name)]
    assert track(["12:30:05.mp4", "--detections", "det.txt", "--reid", "none", *arguments]) == 0
    for name in outputs.values():
        assert Path(name).stat().st_size > 0
    with open_source("12:o.mp4") as frames:
        assert len(list(frames)) == 4


def test_many_videos_with_colons_are_tracked(here: Path) -> None:
    names = ["12:30:05.mp4", "12:30:06.mp4"]
    content = Path("clip.mp4").read_bytes()
    for name in names:
        Path(name).write_bytes(content)
        Path(name).with_suffix(".txt").write_text(Path("det.txt").read_text())
    Path("list.txt").write_text("\n".join(names))
    options = ["--detections", "{stem}.txt", "--reid", "none", "--workers", "1", "--quiet"]
    for given in (names, ["--sources", "list.txt"]):
        assert track([*given, *options, "--save-dir", f"out{len(given[0])}"]) == 0
        written = sorted(path.name for path in Path(f"out{len(given[0])}").glob("*.mp4"))
        assert written == names


def test_only_files_on_servers_wait_to_be_read() -> None:
    assert is_film("https://example.org/a.mp4")
    assert not is_film("rtsp://recorder/channel/1?starttime=20240101")
