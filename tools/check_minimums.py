"""Tell whether setup.cfg or pyproject.toml allows a version of a package that has a known hole.

    python tools/check_minimums.py [FOLDER]

Works without a network, by the lists below, which were made by hand on LOOKED_AT: of every package
that the two files name, the first version without a known hole, or that none is known. What is in
neither list has to be looked at first. `pip-audit` asks the databases themselves, of what is
installed. Exits with 1 after a line for each hole.
"""

import configparser
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: When somebody last looked up the packages below, by name and version.
LOOKED_AT = "2026-11-28"


@dataclass(frozen=True)
class Advisory:
    """A hole: the package, the first version without it, and what it is called."""

    package: str
    fixed: str
    name: str


ADVISORIES = (
    Advisory("click", "8.3.3", "CVE-2026-7246: click.edit() runs what stands in a file's name"),
    Advisory("cryptography", "46.0.7", "CVE-2026-39892: a buffer with gaps overflows"),
    Advisory("cryptography", "50", "CVE-2026-69247: PKCS#7 decryption is an oracle"),
    Advisory("distributed", "2026.1.0", "CVE-2026-23528: a link runs code by Jupyter's proxy"),
    Advisory("h11", "0.16", "CVE-2025-43859: requests are smuggled through chunked bodies"),
    Advisory("jinja2", "3.1.6", "CVE-2025-27516: a template leaves the sandbox"),
    Advisory("keras", "3.13.2", "CVE-2026-1462: a crafted model file runs a SavedModel"),
    Advisory("keras", "3.14", "GHSA-hqp4-2352-xf5r: an archive's files land outside its folder"),
    Advisory("keras", "3.15.1", "its release notes: a crafted .keras fills the disk"),
    Advisory("mkdocs", "1.2.3", "CVE-2021-40978: its server reads files outside of the site"),
    Advisory("mkdocs-material", "9.5.32", "its release notes: a link runs code in search results"),
    Advisory("mkdocs-material", "9.7.7", "CVE-2026-73295: a link runs code in suggestions"),
    Advisory("nltk", "3.9.3", "CVE-2025-14009: a downloaded archive runs code"),
    Advisory("nltk", "3.10.3", "CVE-2026-62383"),
    Advisory("onnx", "1.21", "CVE-2026-27489: weights beside a model are read anywhere"),
    Advisory("opencv-python-headless", "4.12", "CVE-2025-53644: a crafted JPEG writes to the heap"),
    # The aarch64 wheels of 4.12 and 4.13 hold FFmpeg 5.1 and libpng 1.6.48.
    Advisory("opencv-python-headless", "4.14", "CVE-2026-22801, CVE-2026-40962: in its wheels"),
    Advisory("pyarrow", "14.0.1", "CVE-2023-47248: a crafted file runs code"),
    Advisory("pyarrow", "23.0.1", "CVE-2026-25087: a crafted file is read after it is freed"),
    Advisory("pytest", "9.0.3", "CVE-2025-71176: its temporary folders can be foretold"),
    Advisory("python-multipart", "0.0.27", "CVE-2026-42561: a part has headers without an end"),
    Advisory("python-multipart", "0.0.30", "CVE-2026-53539"),
    Advisory("pyyaml", "5.4", "CVE-2020-14343: a crafted file runs code"),
    Advisory("setuptools", "78.1.1", "CVE-2025-47273: a download lands outside its folder"),
    Advisory("setuptools", "83", "CVE-2026-59890: what MANIFEST.in leaves out is packed"),
    Advisory("starlette", "0.49.1", "CVE-2025-62727: a Range header takes quadratic time"),
    Advisory("starlette", "1.0.1", "CVE-2026-48710: a Host header changes a request's path"),
    Advisory("starlette", "1.3.1", "CVE-2026-54283: a form has no limits"),
    Advisory("tensorflow", "2.21", "CVE-2026-2492: it loads plug-ins from folders of others"),
    Advisory("torch", "2.6", "CVE-2025-32434: torch.load runs code, weights_only or not"),
    Advisory("tqdm", "4.66.3", "CVE-2024-34062: options of its command run code"),
    Advisory("uvicorn", "0.11.7", "CVE-2020-7695: a response's headers are split"),
)
#: Packages of which no hole is known, in any version that the files allow.
WITHOUT_ADVISORY = frozenset(
    (
        "ai-edge-litert",
        "axe-core-python",
        "flatbuffers",
        "fsspec",
        "jsonschema",
        "matplotlib",
        "mkdocstrings",
        "mypy",
        "numpy",
        "ollama",
        "onnxruntime",
        "onnxscript",
        "openai",
        "openapi-spec-validator",
        "paho-mqtt",
        "picamera2",
        "prometheus-client",
        "pycocoevalcap",
        "pytest-timeout",
        "ruff",
    )
)
#: What stands for extras of its own.
OWN_NAME = "picaption"


def version(text: str) -> tuple[int, ...]:
    """Return a version as numbers: (4, 12) of "4.12"."""
    return tuple(map(int, re.findall(r"\d+", text)))


def requirements(folder: Path) -> Iterator[str]:
    """Yield all requirements: to build, to run, and of every extra."""
    with open(folder / "pyproject.toml", "rb") as file:
        yield from tomllib.load(file)["build-system"]["requires"]
    config = configparser.ConfigParser()
    config.read(folder / "setup.cfg", encoding="utf-8")
    texts = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    for text in texts:
        yield from (line for line in text.splitlines() if line and not line.startswith("#"))


def holes(folder: Path) -> list[str]:
    """Return a line for each requirement that a version with a hole meets, or nobody knows."""
    lines = []
    for requirement in requirements(folder):
        package = re.split(r"[\s\[<>=!~;]", requirement)[0].lower()
        least = re.search(r"(?:>=|==|~=)\s*([\d.]+)", requirement)
        advisories = [advisory for advisory in ADVISORIES if advisory.package == package]
        if not advisories and package not in WITHOUT_ADVISORY and package != OWN_NAME:
            lines.append(f"{requirement}: nobody has looked whether {package} has known holes")
        for advisory in advisories:
            if least is None or version(least[1]) < version(advisory.fixed):
                lines.append(f"{requirement}: needs >={advisory.fixed} ({advisory.name})")
    return lines


def main() -> None:
    """Print the holes of a folder's two files, and exit with 1 if there are any."""
    lines = holes(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
    for line in lines:
        print(line)
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
