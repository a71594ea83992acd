from __future__ import annotations

from html.parser import HTMLParser

from airmem.render.as_html import render_html
from airmem.views.document import Column, Document, Facts, Paragraph, Row, Table

HOSTILE = "\x1b]0;owned\x07<script>alert(1)</script>\n\u202e\"' onload=x {{ 7 * 7 }}"


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.text.append(data.strip())


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def document(text: str) -> Document:
    columns = (
        Column(name="title", header="TITLE", kind="title", meaning=text),
        Column(name="rss_bytes", header="RSS", kind="bytes", meaning="resident"),
    )
    rows = (Row(cells=(text, 3 << 20)), Row(cells=("two", None), indent=1, style="alarm"))
    return Document(
        blocks=(
            Table(name="processes", columns=columns, rows=rows, caption=text),
            Facts(lines=(("Sum", "1 MiB", text),)),
            Paragraph(text=text),
            Paragraph(text="airmem pss 1", is_whole=True, style="faint"),
        )
    )


def test_every_block_is_there_in_its_order():
    reader = read(render_html(document("one"), title="Whose memory"))
    assert reader.text[-12:] == [
        "one",
        "TITLE",
        "RSS",
        "one",
        "3.0",
        "two",
        "?",
        "Sum",
        "1 MiB",
        "one",
        "one",
        "airmem pss 1",
    ]
    assert ("class", "alarm") in reader.attributes
    assert ("class", "faint whole") in reader.attributes


def test_what_a_target_wrote_is_inert():
    page = render_html(document(HOSTILE), title=HOSTILE)
    reader = read(page)
    assert "script" not in reader.tags
    assert not any(name.startswith("on") for name, _ in reader.attributes)
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "49" not in " ".join(reader.text)


def test_nothing_is_asked_of_a_network():
    reader = read(render_html(document("one"), title="t"))
    assert not {"link", "img", "iframe"} & set(reader.tags)
    assert not {"src", "href"} & {name for name, _ in reader.attributes}
    assert any("default-src 'none'" in (value or "") for _, value in reader.attributes)


def test_our_own_html_is_put_in_as_it_is():
    page = render_html(document("one"), title="t", head_html="<style>a {}</style>", body_html="<svg id='map'></svg>")
    assert "<style>a {}</style>" in page
    assert page.index("airmem pss 1") < page.index("<svg id='map'></svg>")
