"""Take a picture of the operators' page, for the documentation.

    python -m tools.fleet.picture docs/images/fleet.jpg

The page is the real one, in a Chromium without a window, and so are the broker and the
protocol; the devices are simulated, and show the demo's photographs.
"""

import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from picaption.device.config.settings import Config
from picaption.device.fleet.rollout.commands import make_manifest, starting
from picaption.device.fleet.rollout.health import Rules
from picaption.device.fleet.rollout.lead import Leader
from picaption.device.fleet.serve_command import BrokerListener, open_server
from picaption.device.fleet.watch import FleetWatch, watch_fleet
from picaption.device.images import encode_image, list_images, read_image, shrink_to_fit
from picaption.device.outputs.mqtt.connection import Connection
from picaption.device.signing.keys import KeyRing, make_private_key, public_key
from picaption.device.sources.demo_frames import DEMO_IMAGES
from tools.browser_picture import open_browser, picture_parser, read_options, save_picture

from .broker import Broker, wait_until
from .devices import FleetOptions
from .group import DeviceGroup

NAMES = ("attic", "garage", "garden", "hall", "kitchen", "shop-1", "shop-2", "workshop")
THUMBNAIL_SIDE = 160
JPEG_QUALITY = 80
#: Seconds until the page's server knows all that the broker retains.
SETTLED_SECONDS = 3.0


def main() -> None:
    """Take the picture that the command line asks for."""
    options = read_options(picture_parser(__doc__, "1280x800"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = Broker(folder / "broker")
        stack.callback(broker.stop)
        config = Config(mqtt=f"127.0.0.1:{broker.port}", port=0)
        private = make_private_key()
        ring = KeyRing((public_key(private, "fleet"),))
        group = DeviceGroup(NAMES, FleetOptions(config, folder / "devices", ring, 1.0))
        stack.callback(group.stop)
        wait_until(lambda: all(device.connections for device in group.devices.values()), 30)
        publish_pictures(config)
        bundle = folder / "garden-birds.tflite"
        bundle.write_text("    TFL3 of garden birds")
        manifest = make_manifest(bundle, bundle.as_uri(), private, (), Rules(soak_seconds=4.0))
        Leader(config, private, ring, starting(manifest), [50.0]).lead()
        group.devices["garage"].is_wanted = False
        listener = stack.enter_context(closing(BrokerListener(config, ring)))
        listener.start()
        server = stack.enter_context(closing(open_server(config, listener)))
        browser = stack.enter_context(closing(open_browser(options, f"{folder}/profile")))
        browser.call("Emulation.setLocaleOverride", locale="en-GB")
        time.sleep(SETTLED_SECONDS)
        browser.open(server.address)
        browser.wait_for(
            f"document.querySelectorAll('#devices img').length == {len(NAMES)} && "
            "[...document.querySelectorAll('#devices img')].every(image => image.naturalWidth)"
        )
        save_picture(browser, options.output, JPEG_QUALITY)


def publish_pictures(config: Config) -> None:
    """Publish a photograph of the demo for each device, as the devices would."""
    receipts = []

    def publish(connection: Connection) -> None:
        if receipts:
            return
        for name, path in zip(NAMES, list_images(DEMO_IMAGES)):
            image = shrink_to_fit(read_image(path), THUMBNAIL_SIDE)
            topic = f"{config.fleet_topic}/{name}/picture"
            receipts.append(connection.publish_to(topic, encode_image(image, ".jpg", 70)))

    def is_over() -> bool:
        return bool(receipts) and all(receipt.is_published() for receipt in receipts)

    watch_fleet(config, FleetWatch("none"), is_over, publish)


if __name__ == "__main__":
    main()
