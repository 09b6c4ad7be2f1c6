"""The doctor's findings, on this machine and on boards that lack something."""

import json
import os
import sys

import cv2
import pytest

from picaption.device import board, cli
from picaption.device.system import doctor
from picaption.device.system.doctor import Finding


def run_check(name):
    return getattr(doctor, f"check_{name}")()


def test_this_machine(capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main(["--json"], doctor.doctor_command, "picaption doctor")
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [finding["name"] for finding in findings] == [
        "board",
        "python",
        "runtime",
        "opencv",
        "picamera2",
        "cameras",
        "groups",
        "memory",
        "disk",
        "power",
        "heat",
        "governor",
        "settings",
        "extras",
    ]
    assert exit.value.code == any(finding["state"] == "problem" for finding in findings)
    runtime = findings[2]
    assert runtime["state"] == "ok" and "litert" in runtime["text"] and " ms" in runtime["text"]


def test_a_problem_is_printed_with_what_mends_it(capsys, monkeypatch):
    def broken(path):
        raise RuntimeError("no such thing")

    monkeypatch.setattr(doctor.shutil, "disk_usage", broken)
    throttling = board.Throttling(("under-voltage",), ("under-voltage",))
    monkeypatch.setattr(board, "throttled", lambda: throttling)
    with pytest.raises(SystemExit) as exit:
        cli.main([], doctor.doctor_command, "picaption doctor")
    lines = capsys.readouterr().out.splitlines()
    assert exit.value.code == 1
    assert "problem  disk       cannot be checked: no such thing" in lines
    power = lines.index("problem  power      now: under-voltage; since the start: under-voltage")
    assert lines[power + 1].strip().startswith("-> use the board's own power supply")


@pytest.mark.parametrize(
    "state, since, now",
    [("ok", (), ()), ("warning", ("throttled",), ()), ("problem", (), ("throttled",))],
)
def test_power(monkeypatch, state, since, now):
    monkeypatch.setattr(board, "throttled", lambda: board.Throttling(now, since))
    assert run_check("power").state == state


@pytest.mark.parametrize("degrees, state", [(45.0, "ok"), (85.0, "warning"), (None, "ok")])
def test_heat(monkeypatch, degrees, state):
    monkeypatch.setattr(board, "temperature", lambda: degrees)
    assert run_check("heat").state == state


@pytest.mark.parametrize(
    "governor, state", [("ondemand", "ok"), ("powersave", "warning"), (None, "ok")]
)
def test_governor(monkeypatch, governor, state):
    monkeypatch.setattr(board, "governor", lambda: governor)
    assert run_check("governor").state == state


def test_memory_of_a_zero_2(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text(
        "MemTotal:         426624 kB\nMemFree:           21320 kB\nMemAvailable:     101888 kB\n"
    )
    monkeypatch.setattr(doctor, "_MEMORY", tmp_path / "meminfo")
    assert run_check("memory") == Finding(
        "memory", "problem", "99 MB available", "end what else runs: ps aux --sort=-rss | head"
    )


def test_a_32_bit_system(monkeypatch, tmp_path):
    (tmp_path / "os-release").write_text(
        'PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"\nID=raspbian\n'
    )
    monkeypatch.setattr(doctor, "_RELEASE", tmp_path / "os-release")
    monkeypatch.setattr(board, "model", lambda: "Raspberry Pi 4 Model B Rev 1.4")
    assert (
        run_check("board").state == "ok"
        and "Raspberry Pi 4 Model B Rev 1.4, Raspbian GNU/Linux 12" in run_check("board").text
    )
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    assert (
        run_check("board").state == "problem" and "64-bit Raspberry Pi OS" in run_check("board").fix
    )


def test_a_python_that_is_too_old(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert run_check("python").state == "problem" and "3.11" in run_check("python").fix


def test_a_camera_that_another_program_holds(monkeypatch, tmp_path):
    camera = tmp_path / "video0"
    camera.touch()
    monkeypatch.setattr("picaption.device.sources.usb.v4l2_cameras", lambda: [str(camera)])
    assert run_check("cameras") == Finding("cameras", "ok", str(camera))
    (tmp_path / "4711" / "fd").mkdir(parents=True)
    (tmp_path / "4711" / "fd" / "3").symlink_to(camera)
    (tmp_path / "4711" / "fd" / "4").symlink_to(camera)
    (tmp_path / "4711" / "comm").write_text("cheese\n")
    monkeypatch.setattr(doctor, "_PROCESSES", tmp_path)
    assert run_check("cameras").text == f"{camera} is in use by cheese (4711)"
    readlink = os.readlink

    def closed_meanwhile(link):
        monkeypatch.setattr(doctor.os, "readlink", readlink)
        raise FileNotFoundError

    monkeypatch.setattr(doctor.os, "readlink", closed_meanwhile)
    assert run_check("cameras").text == f"{camera} is in use by cheese (4711)"


def test_settings_that_are_not_valid(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "picaption.toml").write_text("prot = 80\n")
    assert (
        run_check("settings").state == "problem"
        and "picaption.toml:1: no setting is called 'prot'" in run_check("settings").text
    )
    (tmp_path / "picaption.toml").write_text("port = 80\n")
    assert run_check("settings") == Finding("settings", "ok", "picaption.toml")


def test_without_picamera2(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    assert (
        run_check("picamera2").state == "warning"
        and "apt install python3-picamera2" in run_check("picamera2").fix
    )


def test_a_picamera2_of_another_numpy(monkeypatch, tmp_path):
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')\n")
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    finding = run_check("picamera2")
    assert (finding.state, finding.text) == ("problem", "does not load: numpy.dtype size changed")
    assert "-m pip install 'numpy>=1.26,<2' (" in finding.fix


@pytest.mark.parametrize(
    "version, state",
    [("4.10.0", "warning"), ("4.11.0", "warning"), ("4.12.0", "ok"), ("5.0.0", "ok")],
)
def test_an_opencv_with_a_known_hole_is_told(monkeypatch, version, state):
    monkeypatch.setattr(cv2, "__version__", version)
    finding = run_check("opencv")
    assert finding.state == state
    assert ("CVE-2025-53644" in finding.text) == (state == "warning")
    assert ("--no-deps 'opencv-python-headless>=4.14'" in finding.fix) == (state == "warning")
