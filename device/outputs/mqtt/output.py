"""Opens the connection to a broker: paho-mqtt is imported only for that."""

from ...config.settings import Config
from ..sink import OutputContext, Sink
from .publisher import MqttPublisher

SETTINGS = (
    *("mqtt", "mqtt_user", "mqtt_password", "mqtt_ca", "mqtt_topic", "mqtt_discovery"),
    *("mqtt_watch", "mqtt_images", "mqtt_commands", "mqtt_area", "event"),
    *("web", "host", "port"),
)


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return an MqttPublisher if a broker is set."""
    if not config.mqtt:
        return None
    return MqttPublisher(config, context)
