"""The floors of docs/architecture.md, read from the imports of every file of both packages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("deepsort_paddle", "reid_train")
# From the top. A folder or a file of a package imports only from the floors below its own.
FLOORS = {
    "deepsort_paddle": (
        {"cli"},
        {"batch", "research"},
        {"command"},
        {"people"},
        {"plan"},
        {"output", "pipeline"},
        {"annotations", "detection", "tracking", "media"},
        {"appearance", "motchallenge", "counting", "tracked_frame", "converters"},
        {"frames", "structures", "inference", "yaml_file", "console"},
        {"boxes", "arguments", "extras", "part_files", "user_cache", "wall_clock"},
    ),
    "reid_train": (
        {"command_line"},
        {"commands"},
        {"evaluate_commands"},
        {"export"},
        {"training"},
        {"checkpoints"},
        {"evaluation"},
        {"data"},
        {"config"},
        {"models", "quiet", "argument_types"},
    ),
}
# They carry no floor: the version imports nothing, a package loads its names lazily, __main__ calls.
UNPLACED = {"", "_version", "__main__"}


def module_of(path: Path) -> str:
    """Full name of a file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def room(module: str) -> tuple[str, str]:
    """The package of a module, and the folder or file directly in it; "" for the package itself."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0]


def floor(package: str, name: str) -> int:
    """Floor of a folder or file, 0 at the bottom."""
    floors = [number for number, names in enumerate(reversed(FLOORS[package])) if name in names]
    assert len(floors) == 1, f"FLOORS has {package}.{name} {len(floors)} times"
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


def arrows(module: str) -> set[str]:
    """The modules of both packages that a module imports."""
    return (imported(MODULES[module]) & MODULES.keys()) - {module}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_architecture_document_gives_every_folder_its_floor(package: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (part,) = re.findall(rf"^{package}/ .*\n((?:  .*\n)+)", text, re.MULTILINE)
    rows = re.findall(r"^  (\w+)(?:/|\.py) .*?(\d+)$", part, re.MULTILINE)
    names = {room(module)[1] for module in MODULES if room(module)[0] == package} - UNPLACED
    assert {name: int(number) for name, number in rows} == {name: floor(package, name) for name in names}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_architecture_document_lists_every_file(package: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (part,) = re.findall(rf"^{package}/ .*\n((?:  .*\n)+)", text, re.MULTILINE)
    listed, folders = set(), [package]
    for indent, name in re.findall(r"^( +)([\w/.]+)", part, re.MULTILINE):
        folders = folders[: len(indent) // 2]
        if name.endswith("/"):
            folders.append(name.rstrip("/"))
        elif name.endswith(".py"):
            listed.add("/".join([*folders, name]))
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")}
    # The document says of models/ only "...": they are backbones, one a file.
    files = {name for name in files if "/models/" not in name and "/__" not in name and "/_" not in name}
    assert {name for name in listed if "/models/" not in name} == files


def test_no_folder_holds_more_than_16_files() -> None:
    folders = Counter(path.parent.relative_to(ROOT).as_posix() for path in MODULES.values())
    assert not {folder: count for folder, count in folders.items() if count > 16}


def test_no_file_has_more_than_400_lines() -> None:
    lengths = {module: len(path.read_text("utf-8").splitlines()) for module, path in MODULES.items()}
    assert not {module: length for module, length in lengths.items() if length > 400}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_file_imports_only_from_lower_floors_and_its_own_folder(module: str) -> None:
    package, name = room(module)
    if name in UNPLACED:
        return
    others = {other for other in arrows(module) if room(other)[0] == package}
    others = {other for other in others if room(other)[1] not in {name, *UNPLACED}}
    here = floor(package, name)
    upward = {other for other in others if floor(*room(other)) >= here}
    assert not upward, f"{module} (floor {here}) imports {sorted(upward)}"


def test_no_files_import_each_other_in_a_circle() -> None:
    # A folder's __init__.py imports nothing of the folder, except that of `models`, which names its parts.
    graph = {module: {other for other in arrows(module) if room(other)[1]} for module in MODULES}
    for module in graph:
        if module.startswith("reid_train.models."):
            graph[module].discard("reid_train.models")
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the files


def test_the_tracker_never_imports_the_trainer() -> None:
    for module, path in MODULES.items():
        if room(module)[0] == "deepsort_paddle":
            assert not {name for name in imported(path) if name.split(".")[0] == "reid_train"}, module


def test_only_one_file_of_the_tracker_imports_paddle() -> None:
    users = {
        module for module, path in MODULES.items() if "paddle" in {n.split(".")[0] for n in imported(path)}
    }
    of_the_tracker = {module for module in users if room(module)[0] == "deepsort_paddle"}
    assert of_the_tracker <= {"deepsort_paddle.inference.libraries"}


def test_an_init_file_only_says_what_its_folder_holds() -> None:
    for module, path in MODULES.items():
        if path.stem == "__init__" and room(module)[1] not in {"", "models"}:
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
