"""The program that measures what hostile connections cost, for a moment."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_comes_while_others_hold_on():
    command = [sys.executable, ROOT / "tools/hostile_network.py"]
    command += ["--connections", "200", "--pairs", "1", "--seconds", "1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    figures = json.loads(result.stdout)
    assert figures["connections"] == 200 and figures["opened_a_second"] >= 20
    assert figures["page_failures"] == 0 and figures["page_seconds_max"] < 30
    assert figures["frames_a_second_attacked"] > 0 and figures["cpu_ms_a_frame_in_peace"] > 0
    assert figures["fall_percent_quartiles"] == [figures["fall_percent"]] * 2  # Of a single pair.
