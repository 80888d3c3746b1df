"""The second halves that the script for MOT17 cuts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "accuracy" / "mot17.py"


@pytest.fixture(scope="module")
def mot17() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("mot17", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# MOT17-02 and 05 have 600 and 837 frames, and 299 and 418 in the halves that papers validate on.
@pytest.mark.parametrize(("length", "left"), [(600, 299), (837, 418)])
def test_a_half_is_that_of_the_papers_and_counts_from_1(
    mot17: ModuleType, tmp_path: Path, length: int, left: int
) -> None:
    folder, half = tmp_path / "MOT17-02-FRCNN", tmp_path / "MOT17-02"
    for name in ("gt", "det", "img1"):
        (folder / name).mkdir(parents=True)
    numbers = range(1, length + 1)
    (folder / "gt" / "gt.txt").write_text("".join(f"{n},7,{n},0,9,9,1,1,1\n" for n in numbers))
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={folder.name}\nseqLength={length}\nframeRate=30\n")
    for number in (1, length):
        (folder / "img1" / f"{number:06d}.jpg").touch()
    mot17.cut(folder, half)
    lines = (half / "gt" / "gt.txt").read_text().splitlines()
    assert len(lines) == left
    assert lines[0] == f"1,7,{length - left + 1},0,9,9,1,1,1"
    assert f"name=MOT17-02\nseqLength={left}\nframeRate=30" in (half / "seqinfo.ini").read_text()
