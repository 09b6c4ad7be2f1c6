"""`picaption fleet`: the commands of whoever looks after many picaptions."""

import click

from .key_commands import keys, sign_command, verify_command
from .rollout.commands import abort_command, history_command, pause_command, roll_out_command
from .rollout.version_order import obey_command
from .serve_command import serve_command
from .status_command import status_command


@click.group()
def fleet() -> None:
    """Look after many picaptions on one broker."""


for command in (
    *(
        status_command,
        serve_command,
        roll_out_command,
        pause_command,
        abort_command,
        history_command,
    ),
    *(obey_command, keys, sign_command, verify_command),
):
    fleet.add_command(command)
