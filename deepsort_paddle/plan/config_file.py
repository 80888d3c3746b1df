"""``--config FILE``: options in a YAML file, with the names of the command line.

Values are read as words, as on the command line: ``1:30`` is a time and ``5:2`` a stride, not the
numbers that YAML reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from deepsort_paddle.plan.argument_types import OptionError
from deepsort_paddle.plan.batch_plan import BatchPlan
from deepsort_paddle.plan.option import Option, options
from deepsort_paddle.plan.run_plan import RunPlan
from deepsort_paddle.yaml_file import parse_yaml

__all__ = ["read_config"]

_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NOTHING = ("", "null", "~")


def read_config(path: str | Path) -> dict[str, Any]:
    """Read the options of a file.

    Args:
        path: a YAML mapping. Names are those of the command line, with hyphens or underscores, and ``source``
            for one source or a list. An option that can be repeated takes a list, ``set`` also a mapping. A
            switch takes true or false. Empty values are left out.

    Returns:
        Checked values by field of `RunPlan` and `BatchPlan`; ``source`` as a list of texts.

    Raises:
        ImportError: PyYAML is not installed.
        OSError: the file cannot be read.
        ValueError: the content is not a YAML mapping, a name is unknown, or a value is invalid.
    """
    content = parse_yaml(str(path), Path(path).read_bytes(), "options by name", words=True)
    known = _known_names()
    found: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).lstrip("-").replace("_", "-").lower()
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"{path}: there is no option {key!r}{hint}")
        if isinstance(value, str) and value.lower() in _NOTHING:
            continue
        field, option = known[name]
        if field in found:
            raise ValueError(f"{path}: {key} is given twice")
        try:
            found[field] = _checked(name, field, option, value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {key}: {' '.join(str(error).split())}") from None
    return found


def _known_names() -> dict[str, tuple[str, Option | None]]:
    """Return field and option of each name that a file may use."""
    known: dict[str, tuple[str, Option | None]] = {"source": ("source", None)}
    for plan in (RunPlan, BatchPlan):
        for field, option in options(plan).items():
            known[field.replace("_", "-")] = (field, option)
            known[option.spelled(field).lstrip("-")] = (field, option)
    return known


def _checked(name: str, field: str, option: Option | None, value: Any) -> Any:
    """Return the checked value as stored in a plan."""
    if option is None:
        sources = [value] if isinstance(value, str) else value
        if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
            raise OptionError("expected a source or a list of them")
        return sources
    if option.is_switch:
        truth = _TRUTHS.get(value.lower()) if isinstance(value, str) else None
        if truth is None:
            raise OptionError(f"expected true or false, got {value!r}")
        return truth != name.startswith("no-")
    if option.repeat:
        if isinstance(value, Mapping):
            value = [f"{key}={setting}" for key, setting in value.items()]
        return option.check([value] if isinstance(value, str) else value)
    return option.check(value)
