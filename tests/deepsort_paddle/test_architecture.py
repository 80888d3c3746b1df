"""The floors of docs/architecture.md, read from the imports of every file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "deepsort_paddle"
FILES = sorted(PACKAGE.rglob("*.py"))
# From the top. A folder or a file of the package imports only from the floors below its own.
# The plan has `output` on the floor of `media`; that has to wait until TrackedFrame, which
# pipeline/stages.py holds today, is in frames.py.
FLOORS = (
    {"cli"},
    {"batch"},
    {"command"},
    {"output"},
    {"pipeline"},
    {"detection", "tracking", "media"},
    {"appearance", "motchallenge", "counting", "frames", "converters"},
    {"structures"},
    {"inference", "boxes", "arguments", "part_files"},
)
# Upward imports of today: `expect_video` belongs into the command's checks.
UPWARD = {("deepsort_paddle.command.run", "deepsort_paddle.batch.video_list")}
# They carry no floor: the version imports nothing, the package loads its names lazily.
UNPLACED = {"deepsort_paddle", "_version"}


def module_of(path: Path) -> str:
    """Full name of a file of the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def room(module: str) -> str:
    """The folder or file directly in the package that a module is in."""
    return module.split(".")[1] if "." in module else module


def floor(module: str) -> int:
    """Floor of a module, 0 at the bottom."""
    floors = [number for number, rooms in enumerate(reversed(FLOORS)) if room(module) in rooms]
    assert len(floors) == 1, f"FLOORS has {room(module)} {len(floors)} times"
    return floors[0]


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


def arrows() -> dict[str, set[str]]:
    """Each module of the package, and those of the package that it imports."""
    packages = {module for module, path in MODULES.items() if path.stem == "__init__"}
    return {module: imported(path) & (MODULES.keys() - packages) for module, path in MODULES.items()}


def test_every_file_has_one_floor_and_the_architecture_document_names_it() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    part = text[text.index("deepsort_paddle/   ") : text.index("\nreid_train/\n")]
    rows = re.findall(r"^  (\w+)(?:/|\.py) .*?(\d)$", part, re.MULTILINE)
    rooms = {room(module) for module in MODULES} - UNPLACED
    assert {name: int(number) for name, number in rows} == {name: floor(f"_.{name}") for name in rooms}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_file_imports_only_from_lower_floors_and_its_own_folder(module: str) -> None:
    if room(module) in UNPLACED:
        return
    others = {other for other in arrows()[module] if room(other) not in {room(module), *UNPLACED}}
    upward = {other for other in others if floor(other) >= floor(module) and (module, other) not in UPWARD}
    assert not upward, f"{module} (floor {floor(module)}) imports {sorted(upward)}"


def test_no_files_import_each_other_in_a_circle() -> None:
    TopologicalSorter(arrows()).prepare()  # raises CycleError, which names the files


def test_the_tracker_never_imports_the_trainer() -> None:
    for path in FILES:
        assert not {name for name in imported(path) if name.split(".")[0] == "reid_train"}, path.name


def test_only_the_predictor_imports_paddle() -> None:
    users = {
        module
        for module, path in MODULES.items()
        if "paddle" in {name.split(".")[0] for name in imported(path)}
    }
    assert users <= {"deepsort_paddle.inference.predictor"}


def test_the_packages_that_hold_code_only_say_what_they_hold() -> None:
    for path in PACKAGE.glob("*/**/__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert len(body) == 1, f"{path} holds more than its docstring"
        assert ast.get_docstring(ast.Module(body, [])), f"{path} has no docstring"


@pytest.mark.parametrize(
    "statement",
    ["import deepsort_paddle", "from deepsort_paddle import DeepSort, Detections, Tracks"],
)
def test_importing_the_package_loads_neither_paddle_nor_opencv(statement: str) -> None:
    check = f"import sys; {statement}; print(sorted({{'paddle', 'cv2', 'torch'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
