"""YAML files that others wrote, read with errors of one line."""

from __future__ import annotations

from typing import Any

from deepsort_paddle.extras import needs

__all__ = ["parse_yaml"]


def parse_yaml(name: str, content: bytes, expected: str = "fields", *, words: bool = False) -> dict[str, Any]:
    """Parse a YAML mapping.

    Args:
        name: of the file, for errors.
        content: its bytes.
        expected: what the file should hold, for errors.
        words: leave every scalar as text; without, numbers, truths and dates become objects.

    Returns:
        the fields at the top.

    Raises:
        ImportError: PyYAML is not installed.
        ValueError: the content is not YAML, or not a mapping.
    """
    with needs("train"):
        import yaml
    try:
        fields = yaml.load(content, Loader=yaml.BaseLoader) if words else yaml.safe_load(content)
    # Deep nesting ends in RecursionError, a date of month 13 in ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{name}: not YAML: {' '.join(str(error).split()):.200}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{name}: expected {expected}, got {fields!r:.60}")
    return fields
