"""The folder of a proof: its logs, its notes, and the trials of its rough stages."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cuts import Trial

#: What a stage has found: (what was looked at, what it came to).
Row = tuple[str, str]


@dataclass(frozen=True)
class Proof:
    """A proof in a folder.

    Attributes:
        work: the folder that everything is in.
        cuts: how often power is cut in each rough stage.
        port: the port here that leads to a machine's page.
    """

    work: Path
    cuts: int
    port: int

    def log(self, stage: str) -> Path:
        """Return the file for the serial lines of a stage's machines."""
        return self._folder("logs") / f"{stage}.txt"

    def result_path(self, stage: str) -> Path:
        """Return the file for the rows of a stage."""
        return self._folder("results") / f"{stage}.json"

    def write_rows(self, stage: str, rows: Sequence[Row]) -> None:
        """Store what a stage has found."""
        self.result_path(stage).write_text(json.dumps(rows, indent=1))

    def read_rows(self, stage: str) -> list[Row]:
        """Return what a stage has found; [] if it has not been run."""
        path = self.result_path(stage)
        if not path.exists():
            return []
        return [(subject, result) for subject, result in json.loads(path.read_text())]

    def notes_path(self, stage: str) -> Path:
        """Return the file for what later stages need to know of a stage."""
        return self._folder("notes") / f"{stage}.json"

    def write_notes(self, stage: str, notes: dict[str, Any]) -> None:
        """Store what later stages need to know of a stage."""
        self.notes_path(stage).write_text(json.dumps(notes, indent=1))

    def read_notes(self, stage: str) -> dict[str, Any]:
        """Return what `write_notes` has stored."""
        return json.loads(self.notes_path(stage).read_text())

    def add_trial(self, stage: str, trial: Trial | None) -> None:
        """Store a trial of a rough stage; None for one after which the machine did not caption."""
        with open(self._trials_path(stage), "a") as file:
            file.write(json.dumps(trial and trial.to_json()) + "\n")

    def read_trials(self, stage: str) -> list[Trial | None]:
        """Return the trials of a rough stage that have been stored."""
        path = self._trials_path(stage)
        if not path.exists():
            return []
        records = [json.loads(line) for line in path.read_text().splitlines()]
        return [Trial.from_json(record) if record else None for record in records]

    def _trials_path(self, stage: str) -> Path:
        return self._folder("notes") / f"{stage}.jsonl"

    def _folder(self, name: str) -> Path:
        folder = self.work / name
        folder.mkdir(exist_ok=True)
        return folder
