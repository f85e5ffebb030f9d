"""A drawing as SVG to put into a page of HTML."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from xml.dom import minidom

from matplotlib.figure import Figure

from benchmarks.plots.style import styled
from benchmarks.plots.words import width_of


@styled
def svg_text(figure: Figure, prefix: str = "") -> str:
    """``figure`` as an ``<svg>`` element, without prolog, for inlining.

    Every id in it begins with ``prefix`` (by default a hash of the drawing), so that many fit one page. Text stays
    text, to be selected and searched; its width is written beside it, so that it fits in whatever font the reader
    has. The element is no wider than the page, and carries its title for those who cannot see it.
    """
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    plain = file.getvalue()
    prefix = prefix or f"d{hashlib.sha256(plain.encode()).hexdigest()[:8]}-"
    root = minidom.parseString(plain.encode()).documentElement
    assert root is not None
    for metadata in root.getElementsByTagName("metadata"):
        root.removeChild(metadata)
    for element in _elements(root):
        if element.tagName == "style":  # the page's own elements must not take it on
            _set_text(element, f"#{prefix}svg {_text(element).strip()}")
        elif element.tagName == "text":
            _fix_width(element)
        _rename(element, prefix)
    root.setAttribute("id", f"{prefix}svg")
    root.setAttribute("role", "img")
    root.setAttribute("style", "max-width: 100%; height: auto")
    title = minidom.Document().createElement("title")
    _set_text(title, " ".join(figure.texts[0].get_text().split("\n")) if figure.texts else "")
    root.insertBefore(title, root.firstChild)
    return str(root.toxml())


def _elements(element: minidom.Element) -> Iterator[minidom.Element]:
    yield element
    for child in element.childNodes:
        if isinstance(child, minidom.Element):
            yield from _elements(child)


def _text(element: minidom.Element) -> str:
    return "".join(child.data for child in element.childNodes if isinstance(child, minidom.Text))


def _set_text(element: minidom.Element, words: str) -> None:
    for child in list(element.childNodes):
        element.removeChild(child)
    element.appendChild(minidom.Document().createTextNode(words))


def _rename(element: minidom.Element, prefix: str) -> None:
    """Put ``prefix`` before the element's id and before every id that it points to."""
    for name, value in list(element.attributes.items()):
        if name == "id":
            element.setAttribute(name, prefix + value)
        elif name in ("href", "xlink:href") and value.startswith("#"):
            element.setAttribute(name, f"#{prefix}{value[1:]}")
        elif "url(#" in value:
            element.setAttribute(name, value.replace("url(#", f"url(#{prefix}"))


def _fix_width(element: minidom.Element) -> None:
    """Say how wide a text is in the font that it was laid out with."""
    style, words = element.getAttribute("style"), _text(element)
    size = re.search(r"font-size: ([\d.]+)px", style)
    if size and words.strip():
        bold = "bold" if re.search(r"font-weight: [6-9]00", style) else "normal"
        element.setAttribute("textLength", f"{width_of(words, float(size[1]), bold):.2f}")
        element.setAttribute("lengthAdjust", "spacingAndGlyphs")
