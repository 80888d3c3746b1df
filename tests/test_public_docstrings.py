"""Docstrings of the public names: one runnable example per class, Args and Returns per function.

Public are the names of ``deepsort_paddle.__all__`` and those that a page of the documentation imports.
"""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import deepsort_paddle

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def documented_imports() -> set[tuple[str, str]]:
    """Return module and name of every import from the two packages in the documentation."""
    found = set()
    for page in PAGES:
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and re.match(
                    "deepsort_paddle|reid_train", node.module or ""
                ):
                    found |= {(str(node.module), alias.name) for alias in node.names}
    return found


def public_names() -> list[tuple[str, str]]:
    names = documented_imports() | {("deepsort_paddle", name) for name in deepsort_paddle.__all__}
    return sorted(pair for pair in names if callable(getattr(import_module(pair[0]), pair[1])))


def has_example(value: Any) -> bool:
    """Return whether the docstring has an example that `tests/*/test_docstrings.py` runs."""
    lines = (inspect.getdoc(value) or "").splitlines()
    return any(">>> " in line and "+SKIP" not in line for line in lines)


@pytest.mark.parametrize(("module", "name"), public_names())
def test_a_public_name_has_an_example_or_args_and_returns(module: str, name: str) -> None:
    value = getattr(import_module(module), name)
    text = inspect.getdoc(value) or ""
    if inspect.isclass(value):
        assert has_example(value), f"{name} needs a runnable example"
        return
    signature = inspect.signature(value)
    described = re.search(r"\nArgs:\n(.*?)(?:\n\n|$)", text, re.DOTALL)
    listed = re.findall(r"^ {4}(?! )([\w, *]+):", described[1], re.MULTILINE) if described else []
    names = {word.strip(" *") for line in listed for word in line.split(",")}
    missing = [word for word in signature.parameters if word not in names]
    assert not missing, f"{name} does not describe {', '.join(missing)}"
    if signature.return_annotation not in ("None", None, inspect.Signature.empty):
        assert re.search(r"\n(Returns|Yields):\n", text), f"{name} does not describe what it returns"
