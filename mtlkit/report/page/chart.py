"""A chart that is drawn by matplotlib: within a page as SVG, or as a file of its own.

Within a page, texts stay texts in its font, colours are those of the page, so that one drawing serves light, dark and print, and
points carry their values, which the page's script shows where the pointer is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from mtlkit.report.plots import OTHERS, SETTINGS, TRAIN, VALIDATION, picture_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
INK, GRID = "#010203", "#cccccc"  # text and thin lines; replaced by the colours of the page
PAGE_COLOURS = {
    INK: "currentColor",
    GRID: "var(--line)",
    TRAIN: "var(--accent)",
    VALIDATION: "var(--wrong)",
    OTHERS[0]: "var(--third)",
}
STYLE: Any = {
    **SETTINGS,
    "svg.fonttype": "none",
    "font.size": 9.5,
    "savefig.transparent": True,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "legend.labelcolor"), INK),
}
PICTURE_STYLE: Any = {**SETTINGS, "font.size": 12}  # legible at half size
WIDE, SQUARE = (4.6, 2.7), (3.4, 3.2)  # inches
TIP = "tip"
FONTS = re.compile(r"font-family: [^;\"]*")
FONT_SHORT = re.compile(r"font: ([\d.]+px)[^;\"]*")


class Tips:
    """Values of points: each group of points is found again in the SVG by its id. Pictures of their own are drawn without."""

    def __init__(self, *, shown: bool = True) -> None:
        self.shown = shown
        self.texts: dict[str, list[str]] = {}
        self._numbers = count()

    def points(self, axes: Axes, points: Sequence[tuple[float, float]], texts: list[str]) -> None:
        """Invisible points that show a text where the pointer is."""
        if points and self.shown:
            horizontal, vertical = zip(*points, strict=True)
            (line,) = axes.plot(horizontal, vertical, "o", markersize=1, alpha=0, clip_on=False, zorder=9)
            name = f"{TIP}-{next(self._numbers)}"
            line.set_gid(name)
            self.texts[name] = texts


@dataclass(frozen=True)
class Chart:
    """A chart. `name` is that of its file, `title` stands above it, and `text` is for those who do not see it. `style` has
    settings for the file; a `picture` draws that file where it is another one than that of the page."""

    name: str
    title: str
    text: str
    draw: Callable[[Figure, Tips], None] = field(repr=False, compare=False)
    size: tuple[float, float] = WIDE
    style: Any = field(default_factory=dict, repr=False, compare=False)
    picture: Callable[[str], bytes] | None = field(default=None, repr=False, compare=False)

    def inline(self) -> str:
        """The SVG element, as wide as its place in the page."""
        from matplotlib import rc_context

        tips = Tips()
        with rc_context(STYLE):
            figure = self._figure(self.size, tips)
            file = io.StringIO()
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        return _for_page(file.getvalue(), tips, self)

    def bytes(self, format: str) -> bytes:
        """The chart as a file, with its title; the same figures give the same bytes."""
        from matplotlib import rc_context

        if self.picture is not None:
            return self.picture(format)
        with rc_context({**PICTURE_STYLE, **self.style}):
            figure = self._figure((1.2 * self.size[0], 1.2 * self.size[1]), Tips(shown=False))
            if self.title:
                figure.suptitle(self.title, fontsize="medium")
            return picture_bytes(figure, format)

    def _figure(self, size: tuple[float, float], tips: Tips) -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        self.draw(figure, tips)
        return figure


def file_stem(*words: str) -> str:
    """The name of a file without its suffix, of lower-case letters, digits and hyphens."""
    return "-".join(re.sub(r"[^a-z0-9_]+", "-", word.lower()).strip("-")[:64] or "x" for word in words)


def _for_page(svg: str, tips: Tips, chart: Chart) -> str:
    ElementTree.register_namespace("", SVG[1:-1])
    ElementTree.register_namespace("xlink", LINK[1:-1])
    root = ElementTree.fromstring(svg)
    for group in root.iter(f"{SVG}g"):
        texts = tips.texts.get(group.get("id", ""), [])
        if texts:
            group.set("style", "opacity: 0")
        for use, text in zip(group.iter(f"{SVG}use") if texts else (), texts, strict=False):
            use.set("data-tip", text)
            use.attrib.pop("style", None)
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in (f"{SVG}style", f"{SVG}metadata")]:
            parent.remove(child)  # a style would apply to the whole page
    _own_ids(root, chart.name)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("tabindex", "0")
    root.set("aria-label", chart.text)
    text = FONTS.sub("font-family: inherit", ElementTree.tostring(root, encoding="unicode"))
    text = FONT_SHORT.sub(r"font-size: \1", text)
    for colour, own in PAGE_COLOURS.items():
        text = text.replace(colour, own)
    return text


def _own_ids(root: ElementTree.Element, prefix: str) -> None:
    """Ids that are referred to become the chart's own, as a page has several charts; others are removed."""
    whole = ElementTree.tostring(root, encoding="unicode")
    used = {*re.findall(r"url\(#([^)]+)\)", whole), *re.findall(r'href="#([^"]+)"', whole)}
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in used:
            element.set("id", f"{prefix}-{own}")
        for name, value in element.attrib.items():
            if name == f"{LINK}href" and value.startswith("#"):
                element.set(name, f"#{prefix}-{value[1:]}")
            elif value.startswith("url(#"):
                element.set(name, f"url(#{prefix}-{value[5:]}")
