"""A conversion whose report many tests read."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from picaption.convert.convert import convert
from picaption.convert.options import ConversionOptions
from picaption.convert.report.figures import Report
from picaption.models.data.readers import add_labels, read_captions, read_labels
from tests.processes import no_java


@dataclass(frozen=True)
class Reported:
    path: Path
    report: Report


@pytest.fixture(scope="session")
def reported(run, data, tmp_path_factory):
    """The bundle's path and the report of its conversion, measured on the dev images too."""
    path = tmp_path_factory.mktemp("reported") / "tiny.tflite"
    split = data / "dev.txt"
    images = data / "images"
    dataset = add_labels(
        read_captions(data / "captions.token.txt", images, split),
        read_labels(data / "labels.tsv", images, split),
    )
    reports = []
    options = ConversionOptions(count=10)
    with no_java():  # This is made before a module's fixtures.
        convert(run, path, images, options, dataset=dataset, on_report=reports.append)
    (report,) = reports
    return Reported(path, report)
