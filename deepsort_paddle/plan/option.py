"""An option of a plan: a dataclass field with its flag, its check and its help in the metadata.

The command line is generated from these fields, and values given in Python pass the same checks. So an
option is added as one field and used in one place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deepsort_paddle.plan.argument_types import OptionError, switch, text

__all__ = ["Option", "check_fields", "check_names", "option", "option_of", "options"]

Role = Literal["input", "file", "folder", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """The properties of an option, except its default.

    Attributes:
        help: for ``--help``; ``{default}`` stands for the default.
        group: heading in ``--help``.
        kind: checks and converts a word or a value (see `argument_types`).
        metavar: placeholder of the value in ``--help``; empty for the ``choices``.
        choices: all values, if there are few.
        flag: name on the command line; empty for ``--`` and the field's name with hyphens.
        role: ``input`` is read; ``file`` and ``folder`` are written.
        decides: whether it decides the results; one that only makes a run faster does not.
        repeat: can be given several times; the value is a tuple.
        bare: the value where the flag stands alone; empty: it needs one.
    """

    help: str
    group: str
    kind: Callable[[Any], Any]
    metavar: str = ""
    choices: tuple[str, ...] = ()
    flag: str = ""
    role: Role = ""
    decides: bool = True
    repeat: bool = False
    bare: str = ""

    def spelled(self, name: str) -> str:
        """Return the flag of the field with this name."""
        return self.flag or "--" + name.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        """Whether it has no value on the command line."""
        return self.kind is switch

    def check(self, value: Any) -> Any:
        """Return the checked value as stored in a plan.

        Raises:
            OptionError: it is not what the option expects.
        """
        if not self.repeat:
            return self.kind(value)
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise OptionError(f"expected a list, got {value!r}")
        items = value.items() if isinstance(value, Mapping) else value
        return tuple(self.kind(item) for item in items)


def option(default: Any, help: str, *, kind: Callable[[Any], Any] = text, **details: Any) -> Any:
    """Return a dataclass field with an `Option`; a default of None passes every check."""
    known = Option(help=help, kind=kind, **details)
    return dataclasses.field(default=default, metadata={"option": known})


def option_of(field: dataclasses.Field[Any]) -> Option | None:
    """Return the option of a field; None if it is not on the command line."""
    return field.metadata.get("option")


def options(plan: Any) -> dict[str, Option]:
    """Return the options of a plan's class or object by field name, in their order."""
    known = {field.name: option_of(field) for field in dataclasses.fields(plan)}
    return {name: found for name, found in known.items() if found is not None}


def check_fields(plan: Any) -> None:
    """Check all options of a frozen dataclass and store the checked values.

    Raises:
        ValueError: a value is not what its option expects; one line names the option.
    """
    for field in dataclasses.fields(plan):
        known, value = option_of(field), getattr(plan, field.name)
        if known is None or (value is None and field.default is None):
            continue
        try:
            checked = known.check(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{field.name}: {' '.join(str(error).split())}") from None
        object.__setattr__(plan, field.name, checked)


def check_names(plan: type, names: Iterable[str]) -> None:
    """Check that a plan's class has fields of these names.

    Raises:
        ValueError: it does not; the message suggests the most similar name.
    """
    from difflib import get_close_matches

    known = [field.name for field in dataclasses.fields(plan)]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"there is no option {name!r}{hint}")
