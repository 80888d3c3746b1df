"""Notes of a run: when they are shown, and that warnings come once."""

from __future__ import annotations

import warnings

from deepsort_paddle.command.notes import Notes


def test_notes_wait_until_they_are_released() -> None:
    shown: list[str] = []
    with Notes(shown.append) as notes:
        notes("a")
        assert shown == []
        notes.release()
        notes("b")
    assert shown == notes.lines == ["a", "b"]


def test_a_warning_is_a_note_and_comes_once_in_its_place() -> None:
    shown: list[str] = []
    with Notes(shown.append) as notes:
        warnings.warn("first", stacklevel=1)
        notes("second")
        notes.release()
        for _ in range(3):
            warnings.warn("first", stacklevel=1)
            warnings.warn("third", stacklevel=1)
            notes.collect()
    assert shown == ["first", "second", "third"]


def test_a_note_of_the_run_itself_may_come_twice() -> None:
    with Notes(lambda line: None) as notes:
        notes("a")
        notes("a")
    assert notes.lines == ["a", "a"]
