"""The documentation's site: links that leave the pages, and a navigation that has all of them."""

import re
from pathlib import Path

import pytest

from tools.site_hooks import change_links

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("markdown", "repository", "changed"),
    [
        (
            "[code](../../device/images.py)",
            "https://host/a/b/",
            "[code](https://host/a/b/blob/main/device/images.py)",
        ),
        ("[code](../../device/images.py)", None, "code (`device/images.py`)"),
        ("[images.py](../../device/images.py)", None, "`device/images.py`"),
        ("[page](../index.md#top) [here](#top)", None, "[page](../index.md#top) [here](#top)"),
        (
            "[site](https://host/x) ![p](../images/a.png)",
            None,
            "[site](https://host/x) ![p](../images/a.png)",
        ),
    ],
)
def test_links_to_files_outside_of_the_pages_are_changed(markdown, repository, changed):
    assert change_links(markdown, "how-to/install.md", repository) == changed


def test_the_navigation_has_every_page():
    listed = re.findall(r"^ +- ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(pages)
