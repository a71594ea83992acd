"""Our JSON is that of the standard library, and ASCII whatever a target wrote."""

from __future__ import annotations

import json
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmem.render.as_json import write_value

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.text('"\\\n\x7f\x1bz'),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.text(), inner))
)


@given(VALUES)
def test_it_is_what_json_writes(value):
    assert write_value(value) == json.dumps(value)


@given(st.text(st.one_of(st.characters(), st.characters(categories=["Cs"]))))
def test_bytes_that_are_no_text_stay_readable(text):
    written = write_value(text)
    assert written.isascii()
    assert json.loads(written) == text.encode(errors="backslashreplace").decode()


class Code(IntEnum):
    GONE = 3


class Title(str):
    __slots__ = ()


def test_subclasses_are_what_they_are_to_json():
    assert write_value([Code.GONE, Title("x")]) == json.dumps([Code.GONE, Title("x")])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_value({"share": value})


def test_what_has_no_form_is_refused():
    with pytest.raises(TypeError):
        write_value({"pids": {1, 2}})
