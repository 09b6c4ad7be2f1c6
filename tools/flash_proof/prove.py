"""From Debian's archive to a card that captions in two emulated machines, whatever its power does.

    python -m tools.flash_proof.prove WORK [STAGE...]

A stage leaves what it found in WORK/results and is not run again; a rough one goes on until there
are as many cuts as are asked for. So a run that was broken off goes on. Needs a Debian machine,
root, and picaption with its extra `flash` installed in this Python.
docs/reports/power-cuts.md says what came out.
"""

import subprocess
import sys
import time
from pathlib import Path

import click

from . import stages
from .machine import MachineError
from .programs import install_programs
from .proof import Proof


def table(proof: Proof) -> str:
    """Return a table, in Markdown, of what the stages have found so far."""
    lines = ["| | |", "|---|---|"]
    for stage in stages.ALL:
        lines += [f"| {subject} | {result} |" for subject, result in proof.read_rows(stage)]
    return "\n".join(lines)


@click.command()
@click.argument("work", type=click.Path(path_type=Path, file_okay=False))
@click.argument("names", nargs=-1, metavar="[STAGE]...", type=click.Choice([*stages.ALL]))
@click.option(
    "--cuts",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="How often power is cut in each rough stage.",
)
@click.option(
    "--port",
    default=18080,
    show_default=True,
    help="The port of this computer that leads to a machine's page.",
)
def main(work: Path, names: tuple[str, ...], cuts: int, port: int) -> None:
    """Run the stages, all by default, in WORK.

    Prints a table of what they found.
    """
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    install_programs(work)
    proof = Proof(work, cuts, port)
    for name in names or stages.ALL:
        if name not in stages.ROUGH and proof.result_path(name).exists():
            continue
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
        try:
            rows = stages.ALL[name](proof)
        except (MachineError, subprocess.CalledProcessError) as error:
            raise click.ClickException(
                f"{name}: {error} (the output of its machines is in {proof.log(name)})"
            ) from None
        proof.write_rows(name, rows)
        for subject, result in rows:
            print(f"  {subject}: {result}", file=sys.stderr, flush=True)
    print(table(proof))


if __name__ == "__main__":
    main()
