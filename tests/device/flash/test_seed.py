"""cloud-init's seed: what is added to it, checked by cloud-init too, and that nothing is lost."""

import shutil
import subprocess

import pytest
import yaml

from picaption.device.errors import PicaptionError
from picaption.device.flash.card import MountedBoot
from picaption.device.flash.machine import Machine, Wifi
from picaption.device.flash.seed import (
    RERUN_COMMAND,
    SETUP_COMMAND,
    cloud_seed,
    with_machine,
    with_wifi,
)

KEY = "ssh-ed25519 AAAAC3Nz anna@home"
WIFI = Wifi('My "net": ä', "0" * 64, "DE")
ALL = Machine("kitchen", "anna", "$6$salt$hash", (KEY,), "Europe/Berlin", WIFI)


def test_the_smallest_seed_starts_the_set_up(trixie):
    files = cloud_seed(MountedBoot(trixie), Machine())
    # The instance is named already, and there is no network to add.
    assert list(files) == ["user-data"]
    assert files["user-data"].startswith(b"#cloud-config\n")
    assert yaml.safe_load(files["user-data"]) == {"bootcmd": [RERUN_COMMAND, SETUP_COMMAND]}
    (trixie / "meta-data").unlink()
    # What arms it is last.
    names = ["meta-data", "network-config", "user-data"]
    assert list(cloud_seed(MountedBoot(trixie), ALL)) == names


def test_a_byte_order_mark_is_no_part_of_what_is_there(trixie):
    (trixie / "user-data").write_bytes(b"\xef\xbb\xbf#cloud-config\r\nlocale: de_DE\r\n")
    files = cloud_seed(MountedBoot(trixie), Machine())
    assert yaml.safe_load(files["user-data"])["locale"] == "de_DE"


def test_every_option():
    data = with_machine({}, ALL)
    assert (data["hostname"], data["timezone"], data["ssh_pwauth"]) == (
        "kitchen",
        "Europe/Berlin",
        False,
    )
    (user,) = data["users"]
    assert (
        user["name"],
        user["hashed_passwd"],
        user["lock_passwd"],
        user["ssh_authorized_keys"],
    ) == ("anna", "$6$salt$hash", False, [KEY])
    with_key = with_machine({}, Machine(user="anna", ssh_keys=(KEY,)))["users"][0]
    assert with_key["lock_passwd"] and "hashed_passwd" not in with_key
    assert with_machine({}, Machine(user="anna", password="$6$"))["ssh_pwauth"] is True


def test_what_was_there_stays():
    before = {
        "keyboard": {"layout": "gb"},
        "bootcmd": [["echo", "mine"]],
        "hostname": "old",
        "users": [
            "default",
            {"name": "bert", "shell": "/bin/sh"},
            {"name": "anna", "shell": "/bin/sh"},
        ],
        "write_files": [{"path": "/a"}],
    }
    data = with_machine(before, ALL)
    assert data["keyboard"] == {"layout": "gb"} and data["write_files"] == [{"path": "/a"}]
    assert data["bootcmd"] == [RERUN_COMMAND, ["echo", "mine"], SETUP_COMMAND]
    assert (
        data["users"][:2] == before["users"][:2]
        and data["users"][2]["shell"] == "/bin/bash"
        and len(data["users"]) == 3
    )
    assert data["hostname"] == "kitchen" and before["hostname"] == "old"
    assert with_machine(before, Machine())["hostname"] == "old"
    assert with_machine(data, ALL) == data


def test_a_network_is_added():
    alone = with_wifi({}, WIFI)["network"]
    assert alone["version"] == 2 and alone["ethernets"] == {
        "eth0": {"dhcp4": True, "optional": True}
    }
    assert alone["wifis"]["wlan0"] == {
        "dhcp4": True,
        "optional": True,
        "regulatory-domain": "DE",
        "access-points": {WIFI.ssid: {"password": "0" * 64}},
    }
    before = {
        "version": 2,
        "ethernets": {"eth0": {"addresses": ["10.0.0.2/24"]}},
        "wifis": {"wlan0": {"dhcp4": False, "access-points": {"other": {"password": "x"}}}},
    }
    network = with_wifi(before, WIFI)["network"]
    assert (
        network["ethernets"] == before["ethernets"] and network["wifis"]["wlan0"]["dhcp4"] is False
    )
    assert list(network["wifis"]["wlan0"]["access-points"]) == ["other", WIFI.ssid]
    assert with_wifi({"network": network}, WIFI)["network"] == network
    with pytest.raises(PicaptionError, match="not of version 2"):
        with_wifi({"version": 1, "config": []}, WIFI)


@pytest.mark.parametrize(
    "name, text, message",
    [
        (
            "user-data",
            "#!/bin/sh\necho\n",
            "user-data: no #cloud-config, nothing can be added to it",
        ),
        ("user-data", "#!/bin/sh\n", "user-data: no #cloud-config"),
        ("user-data", "#cloud-config\n- a\n", "user-data: it holds no names and values"),
        ("user-data", "#cloud-config\na: [\n", "user-data, line 3: not YAML"),
        ("user-data", "#cloud-config\nbootcmd: echo\n", "user-data: bootcmd is not a list"),
        ("meta-data", "text", "meta-data: it holds no names and values"),
        ("network-config", "\t-", "network-config, line 1: not YAML"),
    ],
)
def test_what_nothing_can_be_added_to(trixie, name, text, message):
    (trixie / name).write_text(text)
    with pytest.raises(PicaptionError, match=message):
        cloud_seed(MountedBoot(trixie), ALL)


@pytest.mark.skipif(
    not shutil.which("cloud-init"), reason="cloud-init is not installed: apt install cloud-init"
)
def test_cloud_init_takes_it(trixie, tmp_path):
    (trixie / "user-data").write_text(
        "#cloud-config\nkeyboard: {layout: gb}\nbootcmd:\n- echo mine\nusers:\n- default\n"
    )
    (tmp_path / "user-data").write_bytes(cloud_seed(MountedBoot(trixie), ALL)["user-data"])
    done = subprocess.run(
        ["cloud-init", "schema", "-c", tmp_path / "user-data"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "Valid" in done.stdout, done.stdout + done.stderr
    (tmp_path / "user-data").write_text("#cloud-config\nbootcmd: 3\n")
    assert subprocess.run(
        ["cloud-init", "schema", "-c", tmp_path / "user-data"], capture_output=True
    ).returncode


@pytest.mark.skipif(
    not shutil.which("netplan"), reason="netplan is not installed: apt install netplan.io"
)
def test_netplan_takes_the_network(tmp_path):
    folder = tmp_path / "etc/netplan"
    folder.mkdir(parents=True)
    (folder / "50-cloud-init.yaml").write_text(yaml.safe_dump(with_wifi({}, WIFI)))
    (folder / "50-cloud-init.yaml").chmod(0o600)
    done = subprocess.run(
        ["netplan", "generate", "--root-dir", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    written = "".join(
        path.read_text() for path in (tmp_path / "run").rglob("*wlan0*.conf") if path.is_file()
    )
    assert f"psk={'0' * 64}" in written
