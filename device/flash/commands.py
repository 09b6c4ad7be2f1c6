"""`picaption flash`: writes onto a card, or into a card's image, what makes a Pi caption from its first boot on."""

import os
import secrets
import tempfile
import tomllib
from pathlib import Path

import click

from device.config import effective, plain_toml
from device.errors import PicaptionError
from device.files import whole
from device.flash.card import FOLDER, Folder, identify
from device.flash.firstboot import BUNDLE, HOME

FILE = click.Path(path_type=Path)


@click.group()
def flash():
    """Make a card of Raspberry Pi OS one that captions, from its first boot on."""


def card_options(command):
    """Give a click command the options that tell how a Pi is to be set up."""
    for option in reversed((
        click.option("--hostname", metavar="NAME", default="", help="What the Pi is called in the network."),
        click.option("--source", metavar="SOURCE", help="The camera, as `picaption live` takes it."),
        click.option("--web", is_flag=True, help="Serve a page that shows all, to whoever has its token, which is made and told."),
        click.option("--mqtt", metavar="BROKER", help="Publish to an MQTT broker, as `picaption live` does."),
        click.option("--config", "settings", type=FILE, metavar="FILE", help="A picaption.toml to begin with."),
        click.option("--bundle", type=FILE, metavar="PATH", help="A bundle of your own.  [default: the shipped one]"),
        click.option("--payload", type=FILE, metavar="FILE", help="What `picaption flash payload` made; without it, it is made now."),
    )):
        command = option(command)
    return command


@flash.command()
@click.option("--boot", required=True, type=FILE, metavar="PATH", help="Where the card's boot partition is mounted.")
@card_options
def prepare(boot, **options):
    """Write to the boot partition of a card that Raspberry Pi OS Lite (64-bit) has just been written to."""
    put(Folder(boot), **options)
    print(f"{boot}: ready; unmount it, and put the card into the Pi")


@flash.command()
@click.option("--from", "source_image", required=True, type=FILE, metavar="FILE", help="An image, .img or .img.xz.")
@click.option("--out", required=True, type=FILE, metavar="FILE", help="The image to write.")
@card_options
def image(source_image, out, **options):
    """Make an image file of Raspberry Pi OS one that captions."""
    from device.flash.image import Fat, copy_image
    if out.exists() and source_image.exists() and out.samefile(source_image):
        raise PicaptionError(f"--out {out} would overwrite the image itself; give another path")
    with whole(out) as partial:
        copy_image(source_image, partial)
        put(Fat(partial), **options)
    print(f"{out}: ready; write it to a card: picaption flash write {out} DEVICE")


def put(boot, hostname, source, web, mqtt, settings, bundle, payload):
    """Check everything, then write what the first boot needs to a boot partition."""
    from device.flash.payload import collect
    from device.flash.seed import Machine, cloud_seed
    system = identify(boot)
    text = settings_text(boot, settings, {"source": source, "web": web or None, "mqtt": mqtt})
    seed = cloud_seed(boot, Machine(hostname))
    with tempfile.TemporaryDirectory() as folder:
        if payload is None:
            payload = Path(folder, "payload.tar")
            collect(system.python, payload, bundle)
        program = Path(__file__).with_name("firstboot.py").read_bytes()
        files = {f"{FOLDER}/payload.tar": payload, f"{FOLDER}/picaption.toml": text.encode(), f"{FOLDER}/firstboot.py": program} | seed
        for name, content in files.items():
            boot.write(name, content)
        boot.close()


def settings_text(boot, path, told):
    """Return the picaption.toml of a card, with a token where the page needs one."""
    before = tomllib.loads((boot.read(f"{FOLDER}/picaption.toml") or b"").decode())
    told["bundle"] = str(HOME / "current" / BUNDLE)
    if told["web"]:
        told |= {"host": "0.0.0.0", "token": before.get("token") or secrets.token_urlsafe()}
    return plain_toml(effective(told, path or Path(os.devnull), {}))
