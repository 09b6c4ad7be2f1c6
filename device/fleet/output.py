"""The status of this device as an output of the live loop: switched on by the setting `fleet`."""

from ..config.settings import Config
from ..outputs.sink import OutputContext, Sink

SETTINGS = (
    *("mqtt", "mqtt_user", "mqtt_password", "mqtt_ca"),
    *("fleet", "fleet_topic", "fleet_name", "fleet_images"),
    *("fleet_folder", "fleet_schemes", "public_keys"),
)


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return a StatusPublisher if the settings ask for one."""
    if not config.fleet:
        return None
    from .publisher import StatusPublisher

    return StatusPublisher(config, context)
