"""Words of the command line, and what they become."""

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from deepsort_paddle.plan.argument_types import confidences, count, ids, number


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (number(0), "0", 0.0),
        (number(0), "1e3", 1000.0),
        (number(0, 1), "1", 1.0),
        (number(0, open_low=True), "0.001", 0.001),
        (count(1), "1", 1),
        (count(0), " 7 ", 7),
        (ids, "3", (3,)),
        (ids, "3,7", (3, 7)),
        (confidences, "0.5", 0.5),
        (confidences, "person=0.4, car=0.6", (("person", 0.4), ("car", 0.6))),
        (confidences, "0.3,car=0.6", (("", 0.3), ("car", 0.6))),
        (confidences, "a=b=0.5", (("a=b", 0.5),)),
    ],
)
def test_a_word_becomes_its_value(kind: Callable[[str], Any], text: str, value: object) -> None:
    assert kind(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (number(0), "-1", "expected a number from 0 up, got '-1'"),
        (number(0), "many", "expected a number from 0 up, got 'many'"),
        (number(0), "nan", "expected a number from 0 up, got 'nan'"),
        (number(0), "inf", "expected a number from 0 up, got 'inf'"),
        (number(0, 2), "2.1", "expected a number from 0 to 2, got '2.1'"),
        (number(0, open_low=True), "0", "expected a number above 0, got '0'"),
        (number(0, 1, open_low=True), "0", "expected a number above 0 to 1, got '0'"),
        (count(1), "0", "expected a whole number from 1, got '0'"),
        (count(1), "1.5", "expected a whole number from 1, got '1.5'"),
        (ids, "3,", "expected a whole number from 1, got ''"),
        (ids, "0", "expected a whole number from 1, got '0'"),
        (confidences, "1.5", "expected a number from 0 to 1, got '1.5'"),
        (confidences, "car=", "expected a number from 0 to 1, got ''"),
        (confidences, "car=0.1,car=0.2", "expected confidences as person=0.4,car=0.6, got 'car=0.1,car=0.2'"),
        (confidences, "0.1,0.2", "expected confidences as person=0.4,car=0.6, got '0.1,0.2'"),
        (confidences, "=0.2", "expected confidences as person=0.4,car=0.6, got '=0.2'"),
    ],
)
def test_any_other_word_is_named_with_what_was_wanted(
    kind: Callable[[str], Any], text: str, message: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        kind(text)
    assert str(caught.value) == message
