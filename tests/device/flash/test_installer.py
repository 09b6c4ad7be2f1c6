"""The first boot, on a root folder of its own, with real wheels, and power cut at every step."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from picaption.device.flash import installer
from picaption.device.flash.installer import (
    FILES,
    HOME,
    InstallError,
    install,
    point,
    read_manifest,
    remove_old_versions,
    set_up,
    try_out,
    unpack,
)

#: Runs set_up(BOOT, ROOT) and kills itself before the first change of the file system, or start of
#: a program, that fits a pattern.
CUT = """
import os, re, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import installer
os.sync = lambda: None
changes = {"os.rename", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "subprocess.Popen"}
def cut(event, arguments):
    if event in changes and re.search(sys.argv[4], f"{event} {arguments}"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(cut)
installer.set_up(Path(sys.argv[2]), Path(sys.argv[3]))
"""
#: What a first boot does, in its order.
STEPS = [
    "mkdir.*/versions/1.0-[0-9a-f]+'",
    "mkdir.*wheels",
    "Popen.*'venv'",
    "Popen.*pip",
    "Popen.*'image'",
    "rename.*current'",
    "rename.*/bin/picaption",
    "rename.*rollback",
    "rename.*picaption.toml",
    "Popen.*journald",
    "Popen.*'enable'",
    "Popen.*'service'",
    "remove.*payload.tar",
    "remove.*picaption.toml",
    "remove.*firstboot.py",
    "rmdir.*firmware/picaption",
]


@pytest.fixture
def pi(tmp_path, make_payload, monkeypatch):
    """A Pi before its first boot: its `root`, the `boot` folder, and `calls()` of its programs."""

    class Pi:
        root = tmp_path / "root"
        record = tmp_path / "record"
        boot = root / "boot/firmware/picaption"
        home = root / HOME.relative_to("/")

        def calls(self):
            return self.record.read_text().splitlines() if self.record.exists() else []

    pi = Pi()
    pi.boot.mkdir(parents=True)
    make_payload("1.0").rename(pi.boot / "payload.tar")
    (pi.boot / "picaption.toml").write_text('source = "demo"\ntoken = "sixteen letters!"\n')
    (pi.boot / "firstboot.py").write_bytes(Path(installer.__file__).read_bytes())
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "systemctl $*" >> {pi.record}\n')
    (programs / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("RECORD", str(pi.record))
    return pi


def check_set_up(pi):
    """Assert that all is as it is to be after a first boot, whatever came between."""
    version = (pi.home / "current").resolve()
    assert [path.name for path in (pi.home / "versions").iterdir()] == [version.name]
    assert version.name.startswith("1.0-")
    assert sorted(path.name for path in version.iterdir()) == ["bundle.tflite", "venv"]
    try_out(pi.home / "current")
    settings = pi.root / "etc/picaption.toml"
    assert settings.read_text() == 'source = "demo"\ntoken = "sixteen letters!"\n'
    assert settings.stat().st_mode & 0o777 == 0o640
    for name, text in FILES.items():
        assert (pi.root / name).read_text() == text
    assert os.access(pi.root / "usr/local/bin/picaption", os.X_OK)
    # The folder itself may be left, if power was cut right before its end.
    assert not list(pi.boot.parent.rglob("*.*"))
    assert not list(pi.root.rglob("*.partial"))
    assert any(
        line.startswith(f"{pi.home}/current/venv/bin/picaption service install")
        for line in pi.calls()
    )


def test_a_first_boot(pi):
    (pi.boot / "keys.json").write_text("the public keys")
    set_up(pi.boot, pi.root)
    assert (pi.root / "etc/picaption-keys.json").read_text() == "the public keys"
    check_set_up(pi)
    assert pi.calls() == [
        "systemctl disable --now dphys-swapfile.service",
        "systemctl restart systemd-journald.service",
        "systemctl daemon-reload",
        "systemctl enable picaption-rollback.service picaption-update.path",
        "systemctl start --no-block picaption-update.path",
        f"{pi.home}/current/venv/bin/picaption service install "
        f"--config {pi.root}/etc/picaption.toml",
    ]


def test_power_cut_at_every_step_of_one_first_boot_after_the_other(pi, tmp_path):
    (tmp_path / "cut.py").write_text(CUT)

    def boot(cut):
        if not (pi.boot / "firstboot.py").exists():  # the condition of the unit
            return 0
        done = subprocess.run(
            [
                sys.executable,
                tmp_path / "cut.py",
                Path(installer.__file__).parent,
                pi.boot,
                pi.root,
                cut,
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    for step in STEPS:
        assert boot(step) == -signal.SIGKILL, step
        if (pi.home / "current").is_symlink():  # from then on there is always a version that works
            try_out(pi.home / "current")
    assert boot("never") == 0
    check_set_up(pi)


def test_a_card_that_is_prepared_again_keeps_its_settings_beside_the_new_ones(pi, monkeypatch):
    monkeypatch.setattr(installer, "install", lambda payload, home: home / "versions/one")
    (pi.home / "versions/one").mkdir(parents=True)
    (pi.root / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    (pi.root / "etc/picaption.toml").write_text("mine = 1\n")
    for unit in ("picaption-setup.service", "multi-user.target.wants/picaption-setup.service"):
        (pi.root / "etc/systemd/system" / unit).touch()
    set_up(pi.boot, pi.root)
    assert (pi.root / "etc/picaption.toml.before").read_text() == "mine = 1\n"
    assert (pi.root / "etc/picaption.toml").read_text().startswith('source = "demo"\n')
    assert not list(pi.root.rglob("picaption-setup.service"))


def test_a_service_that_does_not_start_does_not_fail_the_set_up(pi, tmp_path):
    # A camera that is not plugged in yet, for example.
    (pi.boot / "picaption.toml").write_text('source = "auto"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECORD", "/none/record")  # with which the payload's picaption fails
        set_up(pi.boot, pi.root)
    assert not pi.boot.exists() and pi.calls()[-1] == "systemctl is-enabled picaption.service"
    units = "picaption-rollback.service picaption-update.path picaption-camera.service"
    assert f"systemctl enable {units}" in pi.calls()
    assert "systemctl start --no-block picaption-camera.service" in pi.calls()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd's tools are not installed")
def test_systemd_accepts_the_units(tmp_path):
    units = [name for name in FILES if name.endswith((".service", ".path"))]
    # All of them are there: a path has a service of its name. So is what they run.
    for name in units:
        text = FILES[name].replace("/usr/local/bin/picaption", sys.executable)
        (tmp_path / Path(name).name).write_text(text)
    for name in units:
        done = subprocess.run(
            ["systemd-analyze", "verify", tmp_path / Path(name).name],
            capture_output=True,
            text=True,
        )
        lines = [line for line in done.stderr.splitlines() if "not executable" not in line]
        assert (done.returncode, lines) == (0, [])
    assert len(units) == 4


def test_leavings_of_other_versions_go(tmp_path):
    home = tmp_path
    for name in ("one", "two", "bundle"):
        (home / "versions" / name).mkdir(parents=True)
    (home / "versions/one/venv").mkdir()
    (home / "versions/bundle/venv").symlink_to(home / "versions/one/venv")
    point(home / "current", home / "versions/bundle")
    remove_old_versions(home)
    # The bundle's version uses the environment of the first.
    assert sorted(path.name for path in (home / "versions").iterdir()) == ["bundle", "one"]
    point(home / "current", home / "versions/one")
    remove_old_versions(home)
    assert [path.name for path in (home / "versions").iterdir()] == ["one"]


def archive(path, members, manifest=None):
    """Write an archive of `members`, bytes or a TarInfo by name, behind a manifest of them."""
    files = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in members.items()
        if isinstance(content, bytes)
    }
    fields = {
        "format": 1,
        "version": "1.0",
        "python": "3.13",
        "machine": "aarch64",
        "files": files,
    } | (manifest or {})
    with tarfile.open(path, "w") as tar:
        for name, content in {"manifest.json": json.dumps(fields).encode(), **members}.items():
            if isinstance(content, bytes):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                tar.addfile(content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../evil.whl",
        "/etc/evil.whl",
        "wheels/../../evil.whl",
        "wheels/a/b.whl",
        "evil",
        "wheels/..",
    ],
)
def test_a_payload_reaches_nowhere_else(tmp_path, name):
    with pytest.raises(InstallError, match="its manifest names what no payload has"):
        read_manifest(archive(tmp_path / "a.tar", {name: b"x"}))


def link(name, link_type, target):
    """Return a member of an archive that is a link."""
    member = tarfile.TarInfo(name)
    member.type = link_type
    member.linkname = target
    return member


@pytest.mark.parametrize(
    "members, manifest, message",
    [
        (
            {"wheels/a.whl": link("wheels/a.whl", tarfile.SYMTYPE, "/etc/passwd")},
            {"files": {"wheels/a.whl": "0"}},
            "is not a plain file",
        ),
        (
            {"wheels/a.whl": link("wheels/a.whl", tarfile.LNKTYPE, "/etc/passwd")},
            {"files": {"wheels/a.whl": "0"}},
            "is not a plain file",
        ),
        ({"wheels/a.whl": b"x"}, {"files": {"wheels/a.whl": "0" * 64}}, "wheels/a.whl is damaged"),
        ({"wheels/a.whl": b"x"}, {"files": {}}, "its files are not those of its manifest"),
        ({}, {"files": {"wheels/a.whl": "0" * 64}}, "its files are not those of its manifest"),
    ],
)
def test_what_is_not_as_the_manifest_says(tmp_path, members, manifest, message):
    path = archive(tmp_path / "a.tar", members, manifest)
    with pytest.raises(InstallError, match=message):
        unpack(path, read_manifest(path), tmp_path / "out")
    assert not [file for file in (tmp_path / "out").rglob("*") if file.is_symlink()]


@pytest.mark.parametrize(
    "manifest, message",
    [
        ({"format": 2}, "a payload of format 2"),
        ({"version": "../1"}, "its manifest names"),
        ({"files": 3}, "not a payload"),
        ({"files": ["wheels/a.whl"]}, "not a payload"),
        ({"python": "3.9"}, "it is for Python 3.9 on aarch64, and this is Python 3"),
    ],
)
def test_a_payload_that_is_not_for_here(tmp_path, manifest, message):
    with pytest.raises(InstallError, match=message):
        install(archive(tmp_path / "a.tar", {"wheels/a.whl": b"x"}, manifest), tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_no_payload(tmp_path):
    (tmp_path / "text").write_text("text")
    with tarfile.open(tmp_path / "other.tar", "w"):
        pass
    for name, message in (
        ("text", "not a payload of picaption"),
        ("other.tar", "not a payload"),
        ("none", "cannot be read"),
    ):
        with pytest.raises(InstallError, match=message):
            read_manifest(tmp_path / name)


def test_a_version_that_does_not_caption_is_not_installed(tmp_path, make_payload):
    with pytest.raises(InstallError, match="failed: AssertionError: b'it does not'"):
        install(make_payload("2.0", b"it does not"), tmp_path / "home")


def test_too_little_room(tmp_path, make_payload, monkeypatch):
    payload = make_payload("2.0")
    usage = installer.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        installer.shutil,
        "disk_usage",
        lambda path: usage._replace(free=5 * payload.stat().st_size - 1),
    )
    with pytest.raises(InstallError, match="MB of free space are needed"):
        install(payload, tmp_path / "home")


def test_why_it_failed_stands_on_the_card(pi, monkeypatch, capsys):
    monkeypatch.setattr(installer, "__file__", str(pi.boot / "firstboot.py"))
    (pi.boot / "payload.tar").write_text("damaged")
    with pytest.raises(SystemExit) as exit:
        installer.main()
    line = f"{pi.boot}/payload.tar: not a payload of picaption; picaption flash payload makes one\n"
    assert exit.value.code == 1 and (pi.boot / "failed.txt").read_text() == line
    assert capsys.readouterr().err == f"picaption: {line}"
