"""Pages are well-formed, escape all text, and need no other file."""

import re
import xml.etree.ElementTree as ElementTree

from picaption.device.html_page import (
    html_figures,
    html_page,
    html_paragraphs,
    html_section,
    html_table,
)

NASTY = "\"><script>alert(1)</script> & ' <b>"


def parse(html):
    return ElementTree.fromstring(re.sub(r"<!DOCTYPE html>|<meta [^>]*>", "", html))


def test_a_page_is_well_formed_and_escaped():
    body = (
        html_figures([(NASTY, NASTY)])
        + html_paragraphs("faint", [NASTY, "second"])
        + html_section(NASTY, NASTY, html_table(("a", NASTY), [(1, NASTY), (2.5, None)]))
    )
    root = parse(html_page(NASTY, body, "p { margin: 0 }"))
    assert not {"script", "b"} & {element.tag for element in root.iter()}
    assert [root.find(f".//{tag}").text for tag in ("title", "h1", "h2", "dt", "dd")] == [NASTY] * 5
    assert [p.text for p in root.iterfind(".//p[@class='faint']")] == [NASTY, "second"]
    assert [th.text for th in root.iterfind(".//th")] == ["a", NASTY]
    assert [td.text for td in root.iterfind(".//td")] == ["1", NASTY, "2.5", "None"]


def test_a_page_needs_no_other_file_and_has_its_own_style():
    page = html_page("title", "<p>body</p>\n", ".mine { margin: 0 }")
    assert not re.search(r"(?:src|href)=|url\(|https?:|@import|<script|<link", page)
    assert page.index("color-scheme: light dark") < page.index(".mine { margin: 0 }")
    assert page.endswith("<h1>title</h1>\n<p>body</p>\n</body>\n</html>\n")
