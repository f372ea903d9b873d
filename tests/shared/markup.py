"""What a reader of HTML makes of a page: its text, its elements, and whether it is well formed."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = frozenset({"br"})
HARMLESS = frozenset(
    "div style p strong span table thead tbody tr th td ul li details summary".split()  # no script, link, img, iframe
)


class Reader(HTMLParser):
    """Reads a page; fails where an element is closed that is not open."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self._texts: list[str] = []
        self.feed(markup)
        self.close()

    @property
    def text(self) -> str:
        """All that is shown, with one blank between pieces."""
        return " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self._texts.append(data)


def read(markup: str) -> Reader:
    """Return the reader of a page that is well formed and has neither scripts, nor links, nor what loads anything."""
    reader = Reader(markup)
    assert reader.open == []
    assert set(reader.elements) <= HARMLESS | VOID
    assert reader.attributes <= {"class", "colspan"}
    assert "url(" not in markup
    assert "@import" not in markup
    return reader
