from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from airmem.model.noun import noun


@noun
class Page:
    """A page for these tests."""

    size_bytes: int
    name: str = "anon"

    @property
    def size_kib(self) -> int:
        return self.size_bytes // 1024


def test_fields_are_given_by_name_and_have_defaults():
    page = Page(size_bytes=4096)
    assert (page.size_bytes, page.name, page.size_kib) == (4096, "anon", 4)
    assert Page(name="heap", size_bytes=1).name == "heap"


@pytest.mark.parametrize(
    "values", [{}, {"name": "heap"}, {"size_bytes": 1, "pages": 2}, {"size_bytes": 1, "name": "", "x": 1}]
)
def test_a_missing_or_unknown_field_is_an_error(values):
    with pytest.raises(TypeError, match="Page"):
        Page(**values)


def test_no_field_by_position():
    with pytest.raises(TypeError):
        Page(4096)


def test_it_is_frozen_and_slotted():
    page = Page(size_bytes=4096)
    with pytest.raises(FrozenInstanceError):
        page.size_bytes = 1
    with pytest.raises(FrozenInstanceError):
        page.other = 1
    with pytest.raises(FrozenInstanceError):
        del page.name
    assert not hasattr(page, "__dict__")
    assert page.size_bytes == 4096


def test_it_works_with_the_functions_of_dataclasses():
    assert [field.name for field in fields(Page)] == ["size_bytes", "name"]
    other = replace(Page(size_bytes=4096), name="heap")
    assert (other.size_bytes, other.name) == (4096, "heap")


def test_it_is_compared_by_its_fields():
    assert Page(size_bytes=4096) == Page(size_bytes=4096)
    assert Page(size_bytes=4096) != Page(size_bytes=1)
    assert Page(size_bytes=4096) != (4096, "anon")
    assert len({Page(size_bytes=4096), Page(size_bytes=4096), Page(size_bytes=1)}) == 2


def test_it_shows_its_fields():
    assert repr(Page(size_bytes=1)) == "Page(size_bytes=1, name='anon')"
