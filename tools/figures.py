"""Fill the figures of the shipped bundle into README.md and the reports.

    picaption evaluate BUNDLE --captions ... --labels ... --json truth.json     # COCO, both
    picaption evaluate BUNDLE --captions ... --json captions.json               # Flickr8k
    picaption evaluate BUNDLE --labels ... --json classes.json                  # COCO-80
    picaption bench --threads 1 --json bench.json
    python -m tools.figures truth=truth.json captions=captions.json classes=classes.json \
        bench=bench.json bundle=BUNDLE

docs/reports/accuracy.md has the whole commands. In a page, a figure stands between two comments:
`<!-- truth.CHAIRs -->12.1<!-- . -->` is the entry CHAIRs of truth.json, with as many decimals as
stand there. A source that is not given leaves its figures as they are; with `--check`, nothing is
written, and the exit code is 1 if a figure would change.
"""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/reports/accuracy.md", "docs/reports/benchmarks.md")
FIGURE = re.compile(r"<!-- ([a-z]+)\.([\w.\-]+) -->(.*?)<!-- \. -->")


def read_source(name: str, path: Path) -> dict[str, Any]:
    """Return the entries of a source: of the JSON file, or of the bundle's file.

    Args:
        name: What the comments call it.
        path: The file.
    """
    if name == "bundle":
        return {"megabytes": path.stat().st_size / 1e6}
    values = json.loads(path.read_text(encoding="utf-8"))
    if name == "bench":
        run = values["runs"][0]
        machine = values["machine"]
        values = {step: figures["p50"] for step, figures in run["steps"].items()}
        values["machine"] = machine["board"] or machine["cpu"]
    return values


def look_up(values: Mapping[str, Any], key: str) -> Any:
    """Return the entry of a dotted key: "confidence.shown" of {"confidence": {"shown": 61.3}}."""
    entry: Any = values
    for part in key.split("."):
        entry = entry[part]
    return entry


def fill(page: str, sources: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a page with the figures of the sources.

    Raises:
        KeyError: A comment names an entry that its source lacks.
    """

    def replace(match: re.Match[str]) -> str:
        source, key, shown = match.groups()
        if source not in sources:
            return match[0]
        value = look_up(sources[source], key)
        if not isinstance(value, str):
            decimals = len(shown.partition(".")[2])
            value = f"{value:.{decimals}f}"
        return f"<!-- {source}.{key} -->{value}<!-- . -->"

    return FIGURE.sub(replace, page)


def main() -> None:
    """Fill or check the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--check", action="store_true", help="write nothing, report changes")
    options = parser.parse_args()
    sources = {}
    for text in options.sources:
        name, _, path = text.partition("=")
        sources[name] = read_source(name, Path(path))
    is_changed = False
    for name in PAGES:
        page = (ROOT / name).read_text(encoding="utf-8")
        filled = fill(page, sources)
        if filled != page:
            is_changed = True
            print(name)
            if not options.check:
                (ROOT / name).write_text(filled, encoding="utf-8")
    raise SystemExit(1 if is_changed and options.check else 0)


if __name__ == "__main__":
    main()
