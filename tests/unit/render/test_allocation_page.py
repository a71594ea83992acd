"""The drawing of the timeline, and links to flame graphs."""

from __future__ import annotations

import re

from airmem.model.allocation import TimelinePoint
from airmem.render.allocation_page import HEIGHT, LEFT, TOP, WIDTH, draw_timeline, link_graphs


def points(*sizes):
    return [
        TimelinePoint(at_seconds=float(at), heap_bytes=size, rss_bytes=2 * size, process_count=1)
        for at, size in enumerate(sizes)
    ]


def test_a_timeline_stays_in_its_frame_and_ends_where_it_should():
    drawn = str(draw_timeline(points(0, 50 << 20, 100 << 20)))
    numbers = [float(one) for pair in re.findall(r"([\d.]+,[\d.]+)", drawn) for one in pair.split(",")]
    assert all(LEFT <= x <= WIDTH for x in numbers[0::2])
    assert all(0 <= y <= HEIGHT + TOP for y in numbers[1::2])
    assert "200.0 MiB" in drawn
    assert ">2.0 s<" in drawn


def test_one_point_is_no_timeline():
    assert str(draw_timeline(points(5))) == ""


def test_an_empty_heap_is_drawn():
    assert "polygon" in draw_timeline(points(0, 0))


def test_links_are_quoted_and_names_inert():
    made = str(link_graphs([("<b>\x1b[31m", 'a"b c.html')]))
    assert "<b>" not in made
    assert "\x1b" not in made
    assert 'href="a%22b%20c.html"' in made
    assert str(link_graphs(())) == ""
