"""`picaption fleet status`: what the devices of a fleet say of themselves."""

import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import click

from .. import log
from ..config.options import some_options
from ..config.settings import Config
from ..config.toml import load_config
from ..errors import PicaptionError
from ..live.loop import catch_signals
from ..log import say
from ..outputs.mqtt.connection import Connection
from .forms import exposition, json_lines, summary_line, table_lines
from .watch import FleetWatch, settled, watch_fleet

#: The settings that the commands of operators have as options.
BROKER_SETTINGS = ("mqtt", "mqtt_user", "mqtt_password", "mqtt_ca", "fleet_topic")
#: Seconds without news after which all that the broker retains is there.
SETTLED_SECONDS = 1.0
#: Seconds between two drawings of the table.
DRAW_SECONDS = 1.0


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a device, once.")
@click.option("--prometheus", is_flag=True, help="Print Prometheus' text format, once.")
@click.option("--once", is_flag=True, help="Print the table once, also on a terminal.")
@some_options(*BROKER_SETTINGS)
def status_command(
    as_json: bool, prometheus: bool, once: bool, config_path: Path | None, **overrides: Any
) -> None:
    """Show what the devices say of themselves.

    On a terminal the table stays and follows, until ctrl-C. Devices say it with the setting
    `fleet`.
    """
    if as_json and prometheus:
        raise PicaptionError("give --json or --prometheus, not both")
    config = broker_config(config_path, overrides)
    watch = FleetWatch(config.fleet_topic)
    if not (as_json or prometheus or once) and sys.stdout.isatty():
        _follow(config, watch)
        return
    watch_fleet(config, watch, settled(watch, SETTLED_SECONDS), _nothing)
    devices = watch.devices
    if as_json:
        for line in json_lines(devices):
            say(line)
    elif prometheus:
        say(*exposition(devices).splitlines())
    else:
        say(*table_lines(devices, time.time()), summary_line(devices))


def broker_config(config_path: Path | None, overrides: dict[str, Any]) -> Config:
    """Return the settings of an operator's command.

    Raises:
        PicaptionError: They are not valid, or name no broker.
    """
    config = load_config(overrides, config_path).config
    log.hide(config.mqtt_password)
    if not config.mqtt:
        raise PicaptionError("name the broker: --mqtt HOST, or mqtt in picaption.toml")
    return config


def _follow(config: Config, watch: FleetWatch) -> None:
    """Draw the table again and again, until ctrl-C."""
    drawn_at = -math.inf

    def draw(connection: Connection) -> None:
        nonlocal drawn_at
        if time.monotonic() - drawn_at < DRAW_SECONDS:
            return
        drawn_at = time.monotonic()
        columns, rows = shutil.get_terminal_size()
        lines = [*table_lines(watch.devices, time.time())[: rows - 2], summary_line(watch.devices)]
        click.clear()
        say(*(line[:columns] for line in lines))

    with catch_signals() as (stop, _):
        watch_fleet(config, watch, stop.is_set, draw)


def _nothing(connection: Connection) -> None:
    """Do nothing between two messages."""
