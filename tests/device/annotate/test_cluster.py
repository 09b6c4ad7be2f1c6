"""picaption annotate --scheduler: a real scheduler and real workers, on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from picaption.device.annotate import Annotator
from picaption.device.annotate.annotate import annotate_collection
from picaption.device.annotate.cluster import run_on_cluster
from picaption.device.annotate.collection.sources import open_collection
from picaption.device.annotate.processes import run_inline
from picaption.device.annotate.progress import ProgressLine
from picaption.device.annotate.run import create_run
from tests.device.annotate.deadly import DeadlyAnnotator
from tests.device.annotate.test_commands import rows_files

pytest.importorskip("distributed")

ROOT = Path(__file__).parents[3]
BATCH = 8
PATIENCE_SECONDS = 120


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder):
        self.folder = folder
        # Workers find the tests' own annotator. A batch whose worker dies is not retried by Dask.
        self.environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
            "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
        }
        self.file = folder / "scheduler.json"
        self.processes = []
        self.workers = []
        self.address = ""

    def open(self):
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0")
        self.workers = [self.start_worker() for _ in range(2)]
        wait_for(self.is_up)
        self.address = json.loads(self.file.read_text())["address"]

    def is_up(self):
        return self.file.exists() and self.file.read_text().endswith("}")

    def start(self, program, *arguments):
        command = [sys.executable, "-m", "dask", program, *arguments]
        command += ["--scheduler-file", str(self.file), "--no-dashboard"]
        with open(self.folder / f"{len(self.processes)}.log", "wb") as log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def start_worker(self):
        options = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--death-timeout", "60")
        return self.start("worker", *options, "--host", "127.0.0.1")

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


def wait_for(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.open()
        yield cluster
    finally:
        cluster.close()


def annotate(source, output, annotator, engine):
    sources = [str(source)]
    run = create_run(sources, str(output), "jsonl", annotator, BATCH)
    return annotate_collection(open_collection(sources), run, BATCH, engine, ProgressLine(False))


def test_a_worker_and_the_client_are_killed_and_the_rows_are_the_same(
    many, tmp_path, bundle, cluster
):
    output = tmp_path / "out"
    program = "from picaption.device.cli import main; main()"
    command = [sys.executable, "-c", program, "annotate", str(many), "--output", str(output)]
    command += ["--format", "jsonl", "--bundle", str(bundle), "--batch", str(BATCH)]
    command += ["--scheduler", cluster.address, "--json"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE)
    wait_for(lambda: len(rows_files(output)) >= 2 or client.poll() is not None)
    victim = cluster.workers.pop()
    victim.kill()
    wait_for(lambda: len(rows_files(output)) >= 4 or client.poll() is not None)
    client.kill()
    # A fast computer may have finished.
    assert client.wait() in (-signal.SIGKILL, 0), client.stdout.read()
    cluster.workers.append(cluster.start_worker())

    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    summary = json.loads(result.stdout)
    assert summary["rows"] == 120 and summary["skipped"] >= 4 * BATCH // 2
    annotate(many, tmp_path / "inline", Annotator(bundle), run_inline)
    assert rows_files(output) == rows_files(tmp_path / "inline")


def test_a_picture_that_ends_workers_is_left_out(photos, tmp_path, bundle, cluster):
    (photos / "deadly.jpg").write_bytes((photos / "sub" / "cat_0.jpg").read_bytes())

    def engine(run, batches):
        return run_on_cluster(run, batches, cluster.address)

    # Each try takes a worker with it: twice the batch, once the picture alone.
    for _ in range(3):
        cluster.workers.append(cluster.start_worker())
    summary = annotate(photos, tmp_path / "out", DeadlyAnnotator(bundle), engine)
    assert (summary.rows, summary.errors) == (24, 2)
    errors = (tmp_path / "out" / "annotate-errors.jsonl").read_text()
    assert "the process ends that looks at it" in errors


def test_a_scheduler_that_does_not_answer_is_said(photos, tmp_path, bundle, call, monkeypatch):
    monkeypatch.setattr("picaption.device.annotate.cluster.CONNECT_SECONDS", 0.3)
    options = ("--bundle", bundle, "--output", tmp_path / "o", "--scheduler", "tcp://127.0.0.1:9")
    code, _, err = call("annotate", photos, *options)
    assert code == 2 and err.count("\n") == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in err
