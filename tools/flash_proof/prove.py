"""From Debian's archive to a card that captions in two emulated machines, whatever is done to its power: one command.

    python tools/flash_proof/prove.py WORK [STAGE...]

Every stage leaves what it found in WORK/results, and is left out where it did; a rough one goes on until there are as many cuts as are
asked for. So a run that was broken off goes on. Needs a
Debian machine, root, and picaption with its extra `flash` installed in this Python. tools/flash_proof.md tells what came out.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import click
import stages
from machine import MachineError

import tools


def table(work):
    """Return the lines of a table, in Markdown, of what the stages have found so far."""
    lines = ["| | |", "|---|---|"]
    for name in stages.ALL:
        path = work / "results" / f"{name}.json"
        if path.exists():
            lines += [f"| {what} | {found} |" for what, found in json.loads(path.read_text())]
    return lines


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
    help="Of this computer, where the machine's page is looked at.",
)
def main(work, names, cuts, port):
    """Run the stages, all of them by default, with everything in the folder WORK, and print what they found."""
    work = work.resolve()
    (work / "results").mkdir(parents=True, exist_ok=True)
    tools.ready(work)
    proof = stages.Proof(work, cuts, port)
    for name in names or stages.ALL:
        path = work / "results" / f"{name}.json"
        if path.exists() and name not in stages.ROUGH:
            continue
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
        try:
            found = stages.ALL[name](proof)
        except (MachineError, subprocess.CalledProcessError) as error:
            raise click.ClickException(
                f"{name}: {error} (what its machines said is in {proof.log(name)})"
            ) from None
        path.write_text(json.dumps(found, indent=1))
        for what, said in found:
            print(f"  {what}: {said}", file=sys.stderr, flush=True)
    print("\n".join(table(work)))


if __name__ == "__main__":
    main()
