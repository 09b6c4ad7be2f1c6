"""`picaption flash`: prepares a card, or a card's image, from whose first boot on a Pi captions."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..atomic import atomic_write
from ..cli import PathType
from ..errors import PicaptionError
from ..log import say

if TYPE_CHECKING:
    from ..config.toml import LoadedConfig
    from .image import Progress
    from .machine import Machine

_FILE = PathType(path_type=Path)
_BUNDLE_OPTION = click.option(
    "--bundle", type=_FILE, metavar="PATH", help="A bundle of your own.  [default: the shipped one]"
)
#: How a Pi is set up.
_CARD_OPTIONS = (
    click.option("--hostname", metavar="NAME", default="", help="The Pi's name in the network."),
    click.option("--user", metavar="NAME", default="", help="A user who can log in and use sudo."),
    click.option(
        "--password",
        "with_password",
        is_flag=True,
        help="Ask for the user's password, or read it from standard input.",
    ),
    click.option(
        "--ssh-key",
        type=_FILE,
        metavar="FILE",
        help="Public keys that the user logs in with; the Pi then refuses passwords.",
    ),
    click.option(
        "--wifi",
        metavar="SSID",
        help="A wireless network; picaption asks for its passphrase, or reads the next line.",
    ),
    click.option("--country", metavar="CC", default="", help="The Pi's country, for Wi-Fi."),
    click.option(
        "--timezone", metavar="ZONE", default="", help="Time zone, such as Europe/Berlin."
    ),
    click.option("--source", metavar="SOURCE", help="Camera, as for `picaption live`."),
    click.option(
        "--web",
        is_flag=True,
        help="Serve the live page, and print the token that it needs.",
    ),
    click.option(
        "--mqtt", metavar="BROKER", help="MQTT broker to publish to, as for `picaption live`."
    ),
    click.option(
        "--config",
        "settings_path",
        type=_FILE,
        metavar="FILE",
        help="A picaption.toml with further settings.",
    ),
    click.option(
        "--public-keys",
        type=_FILE,
        metavar="FILE",
        help="A ring of `picaption fleet keys`: the Pi accepts only what its keys have signed.",
    ),
    _BUNDLE_OPTION,
    click.option(
        "--payload",
        type=_FILE,
        metavar="FILE",
        help="A payload from `picaption flash payload`.  [default: a new one]",
    ),
)


@click.group()
def flash() -> None:
    """Prepare cards that caption from first boot."""


def card_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a Pi is set up to a function that becomes a command."""
    for option in reversed(_CARD_OPTIONS):
        command = option(command)
    return command


@flash.command("prepare")
@click.option(
    "--boot",
    "boot_path",
    required=True,
    type=_FILE,
    metavar="PATH",
    help="Where the card's boot partition is mounted.",
)
@card_options
def prepare_command(
    boot_path: Path,
    payload: Path | None,
    bundle: Path | None,
    public_keys: Path | None,
    **options: Any,
) -> None:
    """Prepare a mounted boot partition.

    The card holds a fresh Raspberry Pi OS Lite (64-bit).
    """
    from .card import MountedBoot
    from .prepare import earlier_token, prepare

    boot = MountedBoot(boot_path)
    machine, settings = _set_up_from_options(
        earlier_token=earlier_token(boot), has_keys=bool(public_keys), **options
    )
    prepare(boot, machine, settings, payload, bundle, public_keys=public_keys)
    say(f"{boot_path}: ready; unmount it, and put the card into the Pi")
    _print_page_address(settings, machine)


@flash.command("image")
@click.option(
    "--from",
    "source_image",
    required=True,
    type=_FILE,
    metavar="FILE",
    help="Image of Raspberry Pi OS, .img or .img.xz.",
)
@click.option("--out", required=True, type=_FILE, metavar="FILE", help="Image to write.")
@card_options
def image_command(
    source_image: Path,
    out: Path,
    payload: Path | None,
    bundle: Path | None,
    public_keys: Path | None,
    **options: Any,
) -> None:
    """Make a card image that captions.

    It starts from an image of Raspberry Pi OS Lite (64-bit), and needs neither root nor a mount.
    """
    from .image import ImageBoot, copy_image, need_mtools
    from .prepare import prepare

    need_mtools()
    if out.exists() and source_image.exists() and out.samefile(source_image):
        raise PicaptionError(f"--out {out} would overwrite the image itself; give another path")
    machine, settings = _set_up_from_options(
        earlier_token="", has_keys=bool(public_keys), **options
    )
    with atomic_write(out) as partial:
        with _progress_bar("copying") as on_progress:
            copy_image(source_image, partial, on_progress)
        boot = ImageBoot(partial, source_image)
        prepare(boot, machine, settings, payload, bundle, public_keys=public_keys)
    say(f"{out}: ready; write it to a card: picaption flash write {out} DEVICE")
    _print_page_address(settings, machine)


@flash.command("payload")
@click.option(
    "--python",
    type=click.Choice(("3.11", "3.13")),
    default="3.13",
    show_default=True,
    help="Python version of the system: 3.13 for Trixie, 3.11 for Bookworm.",
)
@_BUNDLE_OPTION
@click.option("--out", required=True, type=_FILE, metavar="FILE", help="Archive to write.")
def payload_command(python: str, bundle: Path | None, out: Path) -> None:
    """Collect what a Pi installs offline.

    For several cards, and for `picaption update`.
    """
    from .payload import collect

    collect(python, out, bundle)
    say(f"{out}: {out.stat().st_size / 1e6:.0f} MB, for Python {python}")


@flash.command("write")
@click.argument("image", metavar="IMAGE", type=_FILE)
@click.argument("device", type=_FILE)
@click.option(
    "--even-so",
    "confirmed_device",
    type=_FILE,
    metavar="DEVICE",
    help="DEVICE again, to write to it although it is not removable.",
)
def write_command(image: Path, device: Path, confirmed_device: Path | None) -> None:
    """Write IMAGE to the card in DEVICE.

    This erases DEVICE. The command then reads the card back and compares it.
    """
    from .disk import check_disk, compare, write_image

    disk = check_disk(image, device, confirmed_device)
    with _progress_bar("writing") as on_progress:
        write_image(image, disk.path, on_progress)
    with _progress_bar("reading back") as on_progress:
        compare(image, disk.path, on_progress)
    megabytes = image.stat().st_size / 1e6
    say(f"{disk.path}: written and read back, {megabytes:.0f} MB; take the card out")


def _set_up_from_options(
    earlier_token: str,
    settings_path: Path | None,
    source: str | None,
    web: bool,
    mqtt: str | None,
    has_keys: bool,
    **machine_options: Any,
) -> tuple["Machine", "LoadedConfig"]:
    """Return how the Pi is set up, and its settings; asks for what is secret."""
    from .prepare import card_settings

    machine = _machine_from_options(**machine_options)
    return machine, card_settings(settings_path, source, mqtt, web, earlier_token, has_keys)


def _machine_from_options(
    hostname: str,
    user: str,
    with_password: bool,
    ssh_key: Path | None,
    wifi: str | None,
    country: str,
    timezone: str,
) -> "Machine":
    """Return the Machine; asks for its secrets once everything else is known to be right."""
    from .machine import Machine, Wifi, ask, check, check_wifi, read_ssh_keys, wifi_key

    keys = read_ssh_keys(ssh_key) if ssh_key else ()
    check(Machine(hostname, user, ssh_keys=keys, timezone=timezone), with_password)
    country = country.upper()
    check_wifi(wifi, country)
    password = ask("Password") if with_password else ""
    network = None
    if wifi:
        network = Wifi(wifi, wifi_key(wifi, ask("Wi-Fi passphrase")), country)
    return Machine(hostname, user, password, keys, timezone, network)


@contextmanager
def _progress_bar(label: str) -> Iterator["Progress"]:
    """Yield a function that shows (bytes done, bytes in total) as a bar on a terminal."""
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show


def _print_page_address(settings: "LoadedConfig", machine: "Machine") -> None:
    """Print where the page of a card with these settings will be, if it serves one."""
    from .prepare import page_address

    address = page_address(settings.config, machine.hostname)
    if address:
        say(f"the page, a few minutes after power on: {address}")
