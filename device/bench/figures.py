"""The figures of `picaption bench`, and their JSON form.

`Report.to_json` and `Report.from_json` are the only places that know the names in a file;
docs/reference/bench.schema.json describes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from ..json_form import to_json_form

#: Version of the JSON form; it changes when a field changes its meaning or goes away.
JSON_VERSION = 1

#: Fields that have another name in JSON.
_JSON_NAMES = {"conditions": "machine", "busy_cores": "others"}


@dataclass(frozen=True)
class Machine:
    """What a machine is; None stands for what it does not report.

    `instructions` are those that int8 networks are fast with.
    """

    board: str | None
    system: str
    kernel: str
    cpu: str
    cores: int | None
    instructions: tuple[str, ...]
    python: str


@dataclass(frozen=True)
class ClockRange:
    """The clock of the fastest core, in megahertz."""

    lowest: int
    highest: int


@dataclass(frozen=True)
class Temperatures:
    """The processor's temperature, in degrees Celsius."""

    start: float
    end: float
    highest: float


@dataclass(frozen=True)
class Conditions:
    """How a machine fared while it measured; None stands for what it does not report.

    `throttled`: what held the board back meanwhile; `busy_cores`: how many cores other programs,
    or other guests of the same host, kept busy.
    """

    governor: str | None
    megahertz: ClockRange | None
    celsius: Temperatures | None
    throttled: tuple[str, ...] | None
    busy_cores: float | None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` made a dict of; raises KeyError or TypeError if it did not."""
        parsed: dict[str, Any] = {}
        if values["megahertz"] is not None:
            parsed["megahertz"] = _build(ClockRange, values["megahertz"])
        if values["celsius"] is not None:
            parsed["celsius"] = _build(Temperatures, values["celsius"])
        if values["throttled"] is not None:
            parsed["throttled"] = tuple(values["throttled"])
        return _build(cls, values, **parsed)


@dataclass(frozen=True)
class StepFigures:
    """Milliseconds of one step of a frame, over all calls that were measured.

    `first`: the first call in the process, None if unknown; `per_second`: calls a second, of the
    live loop its frames; `count`: calls; `warm_up`: calls before that do not count; `steady`:
    whether they ended because two windows in a row took the same; `varied_percent`: how far the
    tenth and the ninetieth percentile of the rounds' medians lie apart, by the median; `rounds`:
    calls of each round in the order of time, evenly spaced ones if there were many.
    """

    first: float | None
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    per_second: float
    count: int
    warm_up: int
    steady: bool
    varied_percent: float
    rounds: tuple[tuple[float, ...], ...]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` made a dict of; raises KeyError, TypeError or ValueError if not."""
        rounds = tuple(tuple(map(float, calls)) for calls in values["rounds"])
        return _build(cls, values, rounds=rounds)


@dataclass(frozen=True)
class Run:
    """What one process measured, with one runtime and one number of threads.

    `load_ms`: to load runtime and bundle; `first_caption_ms`: from the start of the process to its
    first caption; `watts` and `millijoules_a_frame`: of the board in the live loop, None if it
    measures none; `steps`: the steps by name, in the order in which a frame goes through them;
    `doubts`: why the figures may be wrong, a line each.
    """

    runtime: str
    threads: int
    source: str
    load_ms: float
    first_caption_ms: float
    peak_megabytes: float | None
    watts: float | None
    millijoules_a_frame: float | None
    conditions: Conditions
    steps: dict[str, StepFigures]
    doubts: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the run as a dict of plain values."""
        return to_json_form(self, _JSON_NAMES)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` made a dict of; raises KeyError, TypeError or ValueError if not."""
        return _build(
            cls,
            values,
            conditions=Conditions.from_json(values["machine"]),
            steps={name: StepFigures.from_json(step) for name, step in values["steps"].items()},
            doubts=tuple(values["doubts"]),
        )


@dataclass(frozen=True)
class MeasuredBundle:
    """The bundle that is measured: its file, size and hash, and the width of the beam search."""

    file: str
    name: str
    bytes: int
    sha256: str
    beam: int


@dataclass(frozen=True)
class Report:
    """All that `picaption bench` measured.

    `seconds` and `calls`: how long, or how often, each step was measured, one of them None;
    `accuracy`: figures as `picaption evaluate --json` writes them; `failed`: why runtimes that are
    installed could not be measured, a line each.
    """

    picaption: str
    measured_at: str
    bundle: MeasuredBundle
    machine: Machine
    seconds: float | None
    calls: int | None
    accuracy: tuple[dict[str, Any], ...]
    runs: tuple[Run, ...]
    failed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the versioned JSON form, a dict of plain values."""
        return {"version": JSON_VERSION} | to_json_form(self, _JSON_NAMES)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the report of a JSON form of this version.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: `values` is something else.
        """
        machine = values["machine"]
        return _build(
            cls,
            values,
            bundle=_build(MeasuredBundle, values["bundle"]),
            machine=_build(Machine, machine, instructions=tuple(machine["instructions"])),
            accuracy=tuple(values["accuracy"]),
            runs=tuple(Run.from_json(run) for run in values["runs"]),
            failed=tuple(values["failed"]),
        )


def _build(figures_type: Any, values: Mapping[str, Any], **parsed: Any) -> Any:
    """Return a dataclass of the entries of a JSON object, `parsed` in place of those it names."""
    names = [field.name for field in fields(figures_type) if field.name not in parsed]
    return figures_type(**parsed, **{name: values[_JSON_NAMES.get(name, name)] for name in names})
