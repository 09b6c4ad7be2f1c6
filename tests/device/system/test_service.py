"""The service's unit, checked by systemd itself, and what installing and removing it does."""

import os
import re
import shutil
import stat
import subprocess

import pytest

from picaption.device import cli
from picaption.device.errors import PicaptionError
from picaption.device.system import service
from picaption.device.system.service import first_closed_folder, quoted, unit_text


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """The service module on a machine of its own, whose systemctl and journalctl record calls."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("systemctl", "journalctl"):
        (programs / name).write_text(
            f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\n[ ! -e {tmp_path}/broken ]\n'
        )
    (programs / "picaption").write_text("#!/bin/sh\n")
    for program in programs.iterdir():
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(service.sys, "executable", str(programs / "python"))
    monkeypatch.setattr(service, "UNITS", tmp_path / "units")
    monkeypatch.setattr(service, "SETTINGS", tmp_path / "picaption.toml")
    monkeypatch.setattr(service, "BOOTED", tmp_path)
    # pytest's folders are their user's alone.
    monkeypatch.setattr(service, "first_closed_folder", lambda path: None)
    service.UNITS.mkdir()
    monkeypatch.setattr(
        service.os, "execv", lambda program, arguments: subprocess.run([program, *arguments[1:]])
    )
    return service


@pytest.fixture
def calls(tmp_path):
    """A function that returns the calls of systemctl and journalctl, a line each."""
    record = tmp_path / "calls"
    return lambda: record.read_text().splitlines() if record.exists() else []


def call(capsys, *arguments):
    """Run `picaption service`; returns (exit code, output, errors)."""
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments], service.service, "picaption service")
    return (exit.value.code, *capsys.readouterr())


def install(capsys, *arguments):
    return call(capsys, "install", "--config", service.SETTINGS, *arguments)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd's tools are not installed")
@pytest.mark.parametrize(
    "folder", ["odd 100% folder", "a;b", "; rm", "# x", "größe", "-x", "~", "*", "%%n", "a=b, c"]
)
def test_systemd_accepts_the_unit_and_finds_it_hardened(tmp_path, folder):
    program = tmp_path / folder / "picaption"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = tmp_path / "picaption.service"
    path.write_text(unit_text(program, program.with_name("a $b \"c\" 'd' \\e.toml")))
    verified = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    rating = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", path], capture_output=True, text=True
    )
    assert (
        float(re.search(r"exposure level for picaption.service: ([\d.]+)", rating.stdout)[1]) <= 2.0
    )


@pytest.mark.parametrize(
    "path, expected",
    [
        ("/usr/bin/picaption", "/usr/bin/picaption"),
        ("/home/a b/p", '"/home/a b/p"'),
        ("/a%b", "/a%%b"),
        ("/a$b", "/a$$b"),
        ('/a"b', '"/a\\"b"'),
        ("/a\\b", '"/a\\\\b"'),
        ("/a;b", '"/a;b"'),
        ("/a'b", '"/a\'b"'),
    ],
)
def test_a_path_is_one_word(path, expected):
    assert quoted(path) == expected


def test_a_path_that_no_unit_can_hold():
    for path in ("/home/anna's/picaption", '/a"b', "/a\\b", "/a$b", "/${HOME}"):
        with pytest.raises(PicaptionError, match=f"systemd runs no program at {re.escape(path)}"):
            unit_text(path, "/etc/picaption.toml")
    for path in ("/a\n[Service]\nUser=root", "/a\x7fb", "/a\udcffb"):
        with pytest.raises(PicaptionError, match="cannot stand in a systemd unit"):
            quoted(path)


def test_install_writes_unit_and_settings_and_starts_it(machine, calls, capsys):
    code, out, err = install(capsys)
    assert (code, err) == (0, "") and "written, enabled and started" in out
    text = (machine.UNITS / "picaption.service").read_text()
    assert f"ExecStart={machine.program_path()} live --quiet --config {machine.SETTINGS}\n" in text
    assert 'source = "auto"' in machine.SETTINGS.read_text()
    if os.geteuid() == 0:
        assert (
            machine.SETTINGS.stat().st_mode & 0o777 == 0o640 and machine.SETTINGS.group() == "video"
        )
    assert calls() == [
        "systemctl daemon-reload",
        "systemctl enable picaption.service",
        "systemctl restart picaption.service",
    ]
    assert install(capsys)[0] == 0  # again: ours may be written over
    assert sorted(os.listdir(machine.UNITS)) == ["picaption.service"]


def test_install_checks_the_settings_first(machine, calls, capsys):
    machine.SETTINGS.write_text("prot = 80\n")
    code, _, err = install(capsys)
    assert code == 2 and "picaption.toml:1: no setting is called 'prot'" in err
    assert calls() == [] and os.listdir(machine.UNITS) == []


def test_a_unit_that_is_not_ours_stays(machine, capsys):
    (machine.UNITS / "picaption.service").write_text("[Service]\nExecStart=/bin/true\n")
    code, _, err = install(capsys)
    assert code == 2 and "is there and not ours; --force replaces it" in err
    assert call(capsys, "remove")[0] == 2 and (
        machine.UNITS / "picaption.service"
    ).read_text().endswith("/bin/true\n")
    assert install(capsys, "--force")[0] == 0


def test_a_systemctl_that_fails_is_one_line(machine, capsys, tmp_path):
    (tmp_path / "broken").touch()
    code, _, err = install(capsys)
    assert code == 2 and err == "picaption: systemctl daemon-reload failed: 1\n"


@pytest.mark.parametrize("lacking", ["systemctl", "booted"])
def test_without_systemd(machine, calls, capsys, tmp_path, monkeypatch, lacking):
    if lacking == "booted":
        monkeypatch.setattr(machine, "BOOTED", tmp_path / "none")
    else:
        (tmp_path / "bin" / "systemctl").unlink()
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for arguments in (["install", "--config", machine.SETTINGS], ["status"], ["logs"], ["remove"]):
        code, _, err = call(capsys, *arguments)
        assert code == 2 and "systemd does not run this machine" in err and err.count("\n") == 1
    assert calls() == [] and os.listdir(machine.UNITS) == [] and not machine.SETTINGS.exists()


def test_install_and_remove_are_roots(machine, calls, capsys, monkeypatch):
    install(capsys)
    before = calls()
    access = os.access
    monkeypatch.setattr(
        machine.os, "access", lambda path, mode: path != machine.UNITS and access(path, mode)
    )
    code, _, err = call(capsys, "install", "--config", "/etc/a b.toml", "--force")
    assert code == 2 and err.endswith(
        f"root only: sudo {machine.program_path()} service install "
        "--config '/etc/a b.toml' --force\n"
    )
    code, _, err = call(capsys, "remove")
    assert code == 2 and err.endswith(f"root only: sudo {machine.program_path()} service remove\n")
    assert calls() == before and (machine.UNITS / "picaption.service").exists()


def test_a_warning_of_a_folder_that_the_services_user_may_not_enter(machine, capsys, monkeypatch):
    monkeypatch.setattr(machine, "first_closed_folder", lambda path: "/home/pi")
    code, _, err = install(capsys)
    assert code == 0 and err == (
        "picaption: the service's own user may not enter /home/pi, which it needs: "
        "sudo chmod o+x /home/pi\n"
    )


def test_a_way_is_closed_at_the_first_folder_that_others_may_not_enter(tmp_path):
    home = tmp_path / "home"
    (home / "venv" / "bin").mkdir(parents=True)
    home.chmod(0o755)
    before = first_closed_folder(home / "venv" / "bin" / "picaption")
    home.chmod(0o700)
    after = first_closed_folder(home / "venv" / "bin" / "picaption")
    assert before != home and after == (before or home)


def test_status_and_logs_are_handed_over(machine, calls, capsys):
    call(capsys, "status"), call(capsys, "logs", "--follow", "--lines", 5)
    assert calls() == [
        "systemctl status --no-pager picaption.service",
        "journalctl --unit picaption.service --no-pager --lines=5 --follow",
    ]


def test_remove_keeps_the_settings(machine, calls, capsys):
    code, _, err = call(capsys, "remove")
    assert code == 2 and "nothing to remove" in err
    install(capsys)
    code, out, _ = call(capsys, "remove")
    assert code == 0 and "stopped and removed" in out
    assert calls()[-2:] == [
        "systemctl disable --now picaption.service",
        "systemctl daemon-reload",
    ]
    assert os.listdir(machine.UNITS) == [] and machine.SETTINGS.exists()
