"""Tell whether setup.cfg allows a version of a package that has a known hole.

    python tools/check_minimums.py [SETUP_CFG]

Works without a network, by the advisories below, a list made by hand that knows no others;
`pip-audit` asks the databases themselves, of what is installed. Exits with 1 after a line for each
hole.
"""

import configparser
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SETUP_CFG = Path(__file__).parents[1] / "setup.cfg"


@dataclass(frozen=True)
class Advisory:
    """A hole: the package, the first version without it, and what it is called."""

    package: str
    fixed: str
    name: str


ADVISORIES = (
    Advisory("opencv-python-headless", "4.12", "CVE-2025-53644: a crafted JPEG writes to the heap"),
    Advisory("keras", "3.13.2", "CVE-2026-1462: a crafted model file"),
    Advisory("starlette", "0.49.1", "CVE-2025-62727: a Range header takes quadratic time"),
    Advisory("h11", "0.16", "CVE-2025-43859: requests are smuggled through chunked bodies"),
)
#: What has to be allowed all the same, by its whole line in setup.cfg, and why.
ACCEPTED = {
    'opencv-python-headless>=4.10; python_version < "3.12"': "OpenCV 4.12's wheels want "
    "numpy 2, and Bookworm's picamera2 was built for numpy 1; picaption doctor warns of it",
    'opencv-python-headless<4.12; python_version < "3.12"': "tflite-runtime needs numpy 1",
}


def version(text: str) -> tuple[int, ...]:
    """Return a version as numbers: (4, 12) of "4.12"."""
    return tuple(map(int, re.findall(r"\d+", text)))


def requirements(setup_cfg: Path) -> Iterator[str]:
    """Yield the lines of all requirements."""
    config = configparser.ConfigParser()
    config.read(setup_cfg, encoding="utf-8")
    texts = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    for text in texts:
        yield from (line for line in text.splitlines() if line and not line.startswith("#"))


def holes(setup_cfg: Path) -> list[str]:
    """Return a line for each requirement that a version with a hole meets."""
    lines = []
    for requirement in requirements(setup_cfg):
        package = re.split(r"[\s\[<>=!~;]", requirement)[0]
        least = re.search(r"(?:>=|==|~=)\s*([\d.]+)", requirement)
        for advisory in ADVISORIES:
            if advisory.package != package or requirement in ACCEPTED:
                continue
            if least is None or version(least[1]) < version(advisory.fixed):
                lines.append(f"{requirement}: needs >={advisory.fixed} ({advisory.name})")
    return lines


def main() -> None:
    """Print the holes of setup.cfg, and exit with 1 if there are any."""
    lines = holes(Path(sys.argv[1]) if len(sys.argv) > 1 else SETUP_CFG)
    for line in lines:
        print(line)
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
