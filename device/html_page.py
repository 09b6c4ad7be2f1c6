"""HTML pages that need no other file: one template with its style, and the parts that pages share.

The page with the live view, outputs/web/pages, is an application of its own.
"""

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --text: #1c1c1a;
  --faint: #62625c; --line: #dcdcd6; --mark: #1f6fb2; --warn: #a04000 }
@media (prefers-color-scheme: dark) {
  :root { --page: #161614; --card: #222220; --text: #ecece8;
    --faint: #a0a098; --line: #3a3a36; --mark: #6db3ec; --warn: #f0a060 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 80rem; background: var(--page);
  color: var(--text); font: 1rem/1.4 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin: 2rem 0 .3rem }
h2 + p, .faint, dt, th { color: var(--faint) } .warn { color: var(--warn) }
.figures { display: grid; gap: .3rem 2rem; margin: 0;
  grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)) }
.figures div { display: flex; justify-content: space-between; gap: 1rem;
  border-bottom: 1px solid var(--line) }
dd { margin: 0; font-variant-numeric: tabular-nums; text-align: right }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th { font-weight: 400 } th, td { text-align: right; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left }
figure { margin: 0 } svg { display: block; width: 100%; height: auto }
"""


def html_page(title: str, body: str, style: str = "") -> str:
    """Return a complete HTML page.

    Args:
        title: The page's title and heading, as plain text.
        body: The HTML below the heading.
        style: CSS that adds to STYLE.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{body}</body>
</html>
"""


def html_section(heading: str, lead: str, content: str) -> str:
    """Return a part of a page: its heading, a sentence on what it shows, and its content.

    `heading` and `lead` are plain text, `content` is HTML.
    """
    return f"<section>\n<h2>{escape(heading)}</h2>\n<p>{escape(lead)}</p>\n{content}\n</section>\n"


def html_paragraphs(css_class: str, lines: Iterable[str]) -> str:
    """Return a paragraph of a CSS class, such as faint or warn, for every line of plain text."""
    return "".join(f'<p class="{css_class}">{escape(line)}</p>\n' for line in lines)


def html_figures(figures: Iterable[tuple[str, str]]) -> str:
    """Return names and their values, plain texts, as a list in columns."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>\n" for name, value in figures
    )
    return f'<dl class="figures">\n{items}</dl>\n'


def html_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of values under its headings, which scrolls sideways on narrow screens."""
    lines = [_table_row("th", headings), *(_table_row("td", row) for row in rows)]
    return f'<div class="wide"><table>\n{"".join(lines)}</table></div>\n'


def _table_row(tag: str, values: Sequence[object]) -> str:
    cells = "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values)
    return f"<tr>{cells}</tr>\n"
