"""What changed between two measurements of `picaption bench`, and whether it is more than chance.

For each step that both have, with the same runtime and threads: the ratio of the medians, and the interval in which 99 % of the
ratios lie when rounds are drawn anew from each measurement (a bootstrap by rounds: calls of a round are too much alike to count
as so many). What the rounds do not show, that a process may as a whole be faster or slower than the next, MARGIN allows for.
"""

import numpy as np

from ..errors import PicaptionError
from .accuracy import read_json
from .bench import JSON_VERSION

#: Draws of the bootstrap, and what share of the ratios lies in the interval.
DRAWS, INTERVAL = 2000, 99
#: How far the interval must be from 1 before a change is told of: processes that do the same differ by as much.
MARGIN = 0.02


def compare_files(before, after):
    """Return the lines that tell what is different in the second of two JSON files of `picaption bench`."""
    return compare(read_figures(before), read_figures(after))


def read_figures(path):
    """Return the figures in the JSON file at `path`; raises PicaptionError where they are not those of this version of bench."""
    figures = read_json(path, "what picaption bench --json wrote")
    wrong = PicaptionError(f"{path} is not what picaption bench --json writes; write it anew")
    if not isinstance(figures, dict) or "version" not in figures:
        raise wrong
    if figures["version"] != JSON_VERSION:
        raise PicaptionError(
            f"{path} has version {figures['version']!r}, this picaption reads version {JSON_VERSION}: "
            "measure both with the same picaption"
        )
    try:
        steps_of(figures)
        _surroundings(figures)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise wrong from None
    return figures


def steps_of(figures):
    """Return the rounds of every step, a list of float arrays, by (runtime without its version, threads, step)."""
    found = {}
    for run in figures["runs"]:
        for name, step in run["steps"].items():
            rounds = [np.array(each, float) for each in step["rounds"]]
            if not rounds or any(
                each.ndim != 1 or not each.size or not (each > 0).all() for each in rounds
            ):
                raise ValueError
            found[*_key(run), name] = rounds
        if not all(isinstance(line, str) for line in run["doubts"]):
            raise ValueError
    return found


def compare(before, after):
    """Return the lines for two dicts of figures."""
    one, other = steps_of(before), steps_of(after)
    shared = [key for key in one if key in other]
    doubted = {_key(run) for figures in (before, after) for run in figures["runs"] if run["doubts"]}
    if not shared:
        raise PicaptionError(
            "the two have no step with the same runtime and threads: measure both with the same --threads"
        )
    lines = [
        f"{name} differs: {old}, then {new}"
        for name, (old, new) in _differences(before, after).items()
    ]
    lines.append(
        f"{'median, milliseconds':38} {'before':>8} {'after':>8} {'ratio':>6}  {INTERVAL} % of ratios"
    )
    for key in shared:
        old, new = one[key], other[key]
        ratio, low, high = ratio_of_medians(old, new)
        runtime, threads, name = key
        lines.append(
            f"{f'{runtime}, threads {threads}, {name}':38} {_median(old):8.3f} {_median(new):8.3f} {ratio:6.3f}  "
            f"{low:.3f} to {high:.3f}  {verdict(low, high, key[:2] in doubted)}"
        )
    return lines + [
        f"doubtful {when}, threads {run['threads']}: {line}"
        for when, figures in (("before", before), ("after", after))
        for run in figures["runs"]
        for line in run["doubts"]
    ]


def ratio_of_medians(before, after, seed=1):
    """Return (the ratio of the medians, the ends of its interval) of two lists of rounds, arrays of milliseconds."""
    random = np.random.default_rng(seed)

    def draws(rounds):
        spent, owners = (
            np.concatenate(rounds),
            np.repeat(np.arange(len(rounds)), [len(each) for each in rounds]),
        )
        order = np.argsort(spent)
        # How often each round is drawn, and so each call, from the quickest on: where half of them are reached lies the median.
        times = random.multinomial(len(rounds), np.full(len(rounds), 1 / len(rounds)), DRAWS)
        reached = np.cumsum(times[:, owners[order]], axis=1)
        half = reached[:, -1:] / 2
        return (spent[order[(reached < half).sum(1)]] + spent[order[(reached <= half).sum(1)]]) / 2

    low, high = np.percentile(draws(after) / draws(before), (50 - INTERVAL / 2, 50 + INTERVAL / 2))
    return _median(after) / _median(before), float(low), float(high)


def verdict(low, high, doubtful=False):
    """Return what an interval of the ratio, after by before, says; where a measurement is doubtful, a change is too: a busy
    machine slows whole measurements."""
    if low <= 1 + MARGIN and high >= 1 - MARGIN:
        return "within noise"
    return ("slower" if low > 1 else "faster") + ", doubtful" * doubtful


def _key(run):
    return run["runtime"].split()[0], int(run["threads"])


def _median(rounds):
    return float(np.median(np.concatenate(rounds)))


def _surroundings(figures):
    where = figures["machine"]
    return {
        "picaption": figures["picaption"],
        "the bundle": figures["bundle"]["sha256"][:12],
        "the beam": figures["bundle"]["beam"],
        "the board": where["board"],
        "the processor": f"{where['cores']} x {where['cpu']}",
        "the system": where["system"],
        "the kernel": where["kernel"],
        "runtimes": ", ".join(dict.fromkeys(run["runtime"] for run in figures["runs"])),
        "the source": ", ".join(dict.fromkeys(run["source"] for run in figures["runs"])),
    }


def _differences(before, after):
    """Return (before, after) of each thing around the measurement that is not the same, by its name."""
    old, new = _surroundings(before), _surroundings(after)
    return {name: (old[name], new[name]) for name in old if old[name] != new[name]}
