"""The floors of docs/architecture.md, read from the imports of every file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "deepsort_paddle").glob("*.py"))
# They carry no floor: the version imports nothing, the package loads its names lazily.
UNPLACED = {"__init__", "_version"}


def floors() -> dict[str, int]:
    """Module name to floor, from the table in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    part = text[text.index("deepsort_paddle/   ") : text.index("\nreid_train/\n")]
    rows = re.findall(r"^  (\w+)\.py .*? (\d)(?:  .*)?$", part, re.MULTILINE)
    return {name: int(floor) for name, floor in rows}


def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere, those for type checkers left out."""
    names: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        pending += ast.iter_child_nodes(node)
    return names


def test_every_file_has_a_floor_in_the_architecture_document() -> None:
    assert floors().keys() >= {path.stem for path in FILES} - UNPLACED


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_imports_only_from_lower_floors(path: Path) -> None:
    place = floors()
    if path.stem in UNPLACED:
        return
    names = {name.split(".")[1] for name in imported(path) if name.startswith("deepsort_paddle.")}
    floor = place.get(path.stem)
    assert floor is not None, f"docs/architecture.md gives {path.name} no floor"
    too_high = {name for name in names & place.keys() if place[name] >= floor}
    assert not too_high, f"{path.name} (floor {floor}) imports {sorted(too_high)}"


@pytest.mark.parametrize(
    ("package", "other"), [("deepsort_paddle", "reid_train"), ("reid_train", "deepsort_paddle")]
)
def test_the_packages_never_import_each_other(package: str, other: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        assert not {name for name in imported(path) if name.split(".")[0] == other}, path.name


def test_only_the_predictor_imports_paddle() -> None:
    users = {path.stem for path in FILES if "paddle" in {name.split(".")[0] for name in imported(path)}}
    assert users <= {"_predictor"}


@pytest.mark.parametrize(
    "statement",
    ["import deepsort_paddle", "from deepsort_paddle import DeepSort, Detections, Tracks"],
)
def test_importing_the_package_loads_neither_paddle_nor_opencv(statement: str) -> None:
    check = f"import sys; {statement}; print(sorted({{'paddle', 'cv2', 'torch'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
