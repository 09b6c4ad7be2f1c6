"""`picaption flash`: writes onto a card, or into a card's image, what makes a Pi caption from its first boot on."""

import sys
from contextlib import contextmanager
from pathlib import Path

import click

from ..atomic import atomic_write
from ..errors import PicaptionError

FILE = click.Path(path_type=Path)


@click.group()
def flash():
    """Make a card of Raspberry Pi OS one that captions, from its first boot on."""


def card_options(command):
    """Give a click command the options that tell how a Pi is to be set up."""
    for option in reversed(
        (
            click.option(
                "--hostname",
                metavar="NAME",
                default="",
                help="What the Pi is called in the network.",
            ),
            click.option(
                "--user", metavar="NAME", default="", help="A user who may log in, and become root."
            ),
            click.option(
                "--password",
                "with_password",
                is_flag=True,
                help="Ask for the user's password, or read it: a line of standard input.",
            ),
            click.option(
                "--ssh-key",
                type=FILE,
                metavar="FILE",
                help="The public keys by which the user logs in; passwords are refused then.",
            ),
            click.option(
                "--wifi",
                metavar="SSID",
                help="A wireless network; its passphrase is asked for, or the next line.",
            ),
            click.option(
                "--country",
                metavar="CC",
                default="",
                help="The country that the Pi is in, for Wi-Fi.",
            ),
            click.option("--timezone", metavar="ZONE", default="", help="Such as Europe/Berlin."),
            click.option(
                "--source", metavar="SOURCE", help="The camera, as `picaption live` takes it."
            ),
            click.option(
                "--web",
                is_flag=True,
                help="Serve the page to whoever has its token, which is made and told.",
            ),
            click.option(
                "--mqtt",
                metavar="BROKER",
                help="Publish to an MQTT broker, as `picaption live` does.",
            ),
            click.option(
                "--config",
                "path",
                type=FILE,
                metavar="FILE",
                help="A picaption.toml with all other settings.",
            ),
            click.option(
                "--bundle",
                type=FILE,
                metavar="PATH",
                help="A bundle of your own.  [default: the shipped one]",
            ),
            click.option(
                "--payload",
                type=FILE,
                metavar="FILE",
                help="What `picaption flash payload` made.  [default: made now]",
            ),
        )
    ):
        command = option(command)
    return command


@flash.command()
@click.option(
    "--boot",
    required=True,
    type=FILE,
    metavar="PATH",
    help="Where the card's boot partition is mounted.",
)
@card_options
def prepare(boot, payload, bundle, **options):
    """Write to the boot partition of a card that has just got Raspberry Pi OS Lite (64-bit)."""
    from .card import Folder
    from .prepare import prepare, token_before

    card = Folder(boot)
    machine, settings = wanted(token=token_before(card), **options)
    prepare(card, machine, settings, payload, bundle)
    print(f"{boot}: ready; unmount it, and put the card into the Pi")
    tell(settings, machine)


@flash.command()
@click.option(
    "--from",
    "original",
    required=True,
    type=FILE,
    metavar="FILE",
    help="An image, .img or .img.xz.",
)
@click.option("--out", required=True, type=FILE, metavar="FILE", help="The image to write.")
@card_options
def image(original, out, payload, bundle, **options):
    """Make an image of Raspberry Pi OS Lite (64-bit) one that captions, without root and without mounting it."""
    from .image import Fat, copy_image, need_mtools
    from .prepare import prepare

    need_mtools()
    if out.exists() and original.exists() and out.samefile(original):
        raise PicaptionError(f"--out {out} would overwrite the image itself; give another path")
    machine, settings = wanted(token="", **options)
    with atomic_write(out) as partial:
        with bar("copying") as progress:
            copy_image(original, partial, progress)
        prepare(Fat(partial, original), machine, settings, payload, bundle)
    print(f"{out}: ready; write it to a card: picaption flash write {out} DEVICE")
    tell(settings, machine)


@flash.command()
@click.option(
    "--python",
    type=click.Choice(("3.11", "3.13")),
    default="3.13",
    show_default=True,
    help="The Python of the system: 3.13 of Trixie, 3.11 of Bookworm.",
)
@click.option(
    "--bundle", type=FILE, metavar="PATH", help="A bundle of your own.  [default: the shipped one]"
)
@click.option("--out", required=True, type=FILE, metavar="FILE", help="The archive to write.")
def payload(python, bundle, out):
    """Collect what a Pi installs without network: for several cards, and for `picaption update`."""
    from .payload import collect

    collect(python, out, bundle)
    print(f"{out}: {out.stat().st_size / 1e6:.0f} MB, for Python {python}")


@flash.command()
@click.argument("image_file", metavar="IMAGE", type=FILE)
@click.argument("device", type=FILE)
@click.option(
    "--even-so",
    type=FILE,
    metavar="DEVICE",
    help="DEVICE again: write to it although it is not removable.",
)
def write(image_file, device, even_so):
    """Write IMAGE to the card in DEVICE, all of which is lost, read it back and compare."""
    from .disk import check_disk, compare, write_image

    disk = check_disk(image_file, device, even_so)
    for label, step in (("writing", write_image), ("reading back", compare)):
        with bar(label) as progress:
            step(image_file, disk.path, progress)
    print(
        f"{disk.path}: written and read back, {image_file.stat().st_size / 1e6:.0f} MB; take the card out"
    )


def wanted(token, path, source, web, mqtt, **told):
    """Return the Machine and the Effective settings that the options tell, asking for what is secret."""
    from .prepare import card_settings

    return machine_of(**told), card_settings(path, {"source": source, "mqtt": mqtt}, web, token)


def machine_of(hostname, user, with_password, ssh_key, wifi, country, timezone):
    """Return the Machine that the options tell, asking for its secrets once all else is known to be right."""
    from .machine import Machine, Wifi, ask, check, check_wifi, read_ssh_keys, wifi_key

    keys = read_ssh_keys(ssh_key) if ssh_key else ()
    check(Machine(hostname, user, ssh_keys=keys, timezone=timezone), with_password)
    check_wifi(wifi, country)
    password = ask("Password") if with_password else ""
    network = Wifi(wifi, wifi_key(wifi, ask("Wi-Fi passphrase")), country) if wifi else None
    return Machine(hostname, user, password, keys, timezone, network)


@contextmanager
def bar(label):
    """Give progress(done, total), of bytes, which shows them as a bar on a terminal."""
    with click.progressbar(length=1, label=label, file=sys.stderr) as shown:

        def progress(done, total):
            shown.length = total
            shown.update(done - shown.pos)

        yield progress


def tell(settings, machine):
    """Say where the page of a card with these settings will be, where it has one."""
    from .prepare import page_address

    if address := page_address(settings.config, machine.hostname):
        print(f"the page, a few minutes after power on: {address}")
