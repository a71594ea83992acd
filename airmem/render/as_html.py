"""HTML: one page that opens without a network. What a target wrote is escaped twice: for terminals, and as text."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from airmem.render.as_text import format_cell
from airmem.render.escape import escape
from airmem.views.document import Facts, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.views.document import Block, Document

PAGES = Environment(
    loader=PackageLoader("airmem.render"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.filters["inert"] = escape
PAGES.filters["cell"] = format_cell


def render_html(document: Document, *, title: str, head_html: str = "", body_html: str = "") -> str:
    """Return a whole page: a document's blocks in their order, then `body_html`.

    `head_html` and `body_html` are put in as they are: only what airmem itself has made, with a target's text escaped.
    """
    return PAGES.get_template("page.html").render(
        title=title,
        blocks=[(_kind(block), block) for block in document.blocks],
        head_html=Markup(head_html),  # noqa: S704  # airmem's own, see above
        body_html=Markup(body_html),  # noqa: S704
    )


def _kind(block: Block) -> str:
    return "table" if isinstance(block, Table) else "facts" if isinstance(block, Facts) else "paragraph"
