"""picaption annotate: the command, on this machine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from picaption.device.annotate.annotate import annotate_collection
from picaption.device.annotate.collection.sources import open_collection
from picaption.device.annotate.processes import run_in_processes, run_inline
from picaption.device.annotate.progress import ProgressLine
from picaption.device.annotate.run import create_run
from picaption.device.annotate.task import current_cores
from picaption.device.errors import PicaptionError
from tests.device.annotate.deadly import DeadlyAnnotator

BATCH = 8


def rows_files(output):
    """The bytes of the rows' files by name."""
    return {path.name: path.read_bytes() for path in output.glob("**/rows-*")}


def rows_of(output):
    """The rows of JSON lines, sorted by path."""
    lines = [line for data in rows_files(output).values() for line in data.splitlines()]
    return sorted(map(json.loads, lines), key=lambda row: row["path"])


def annotate(source, output, bundle, output_format="jsonl", engine=run_inline, annotator=None):
    """Annotate in this process, unless the engine does it elsewhere."""
    from picaption.device.annotate import Annotator

    sources = [str(source)]
    annotator = annotator or Annotator(bundle)
    run = create_run(sources, str(output), output_format, annotator, BATCH)
    return annotate_collection(open_collection(sources), run, BATCH, engine, ProgressLine(False))


@pytest.fixture(scope="module")
def command(bundle):
    """The command line of a process of its own."""
    program = "from picaption.device.cli import main; main()"
    return [sys.executable, "-c", program, "annotate", "--bundle", str(bundle), "--batch", "8"]


def test_rows_do_not_depend_on_the_workers(many, tmp_path, bundle, call):
    options = ("--bundle", bundle, "--batch", BATCH, "--format", "jsonl", "--json")
    outputs = [tmp_path / f"{count}-workers" for count in (2, 8)]
    for output in outputs:
        count = output.name[0]
        code, out, err = call("annotate", many, "--output", output, "--workers", count, *options)
        assert (code, err) == (0, "")
        summary = json.loads(out)
        assert (summary["rows"], summary["images"], summary["errors"]) == (120, 120, 0)
    annotate(many, tmp_path / "inline", bundle)
    files = rows_files(tmp_path / "inline")
    assert len(files) > 8
    assert all(rows_files(output) == files for output in outputs)
    rows = rows_of(outputs[0])
    assert [row["path"] for row in rows] == sorted(f"{many}/{name}" for name in os.listdir(many))


def test_a_killed_run_goes_on(many, tmp_path, bundle, command):
    output = tmp_path / "killed"
    command = [*command, str(many), "--output", str(output), "--format", "jsonl", "--workers", "2"]
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        before = len(rows_files(output))
        while len(rows_files(output)) < min(before + 3, 10) and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        # A fast computer may have finished.
        assert process.wait() in (-signal.SIGKILL, 0)
    # The workers end by themselves, each before its next picture.
    time.sleep(0.2)
    done = {path: path.stat().st_mtime_ns for path in output.glob("rows-*")}
    assert len(done) >= 6
    (output / ".partial.left").write_bytes(b"half a file")
    summary = annotate(many, output, bundle)
    assert summary.rows == 120 and summary.skipped >= 6 * BATCH // 2
    # What was done stays as it was.
    assert all(path.stat().st_mtime_ns == changed for path, changed in done.items())
    annotate(many, tmp_path / "inline", bundle)
    assert rows_files(output) == rows_files(tmp_path / "inline")
    assert not list(output.glob(".partial*"))


def test_a_picture_that_ends_processes_is_left_out(photos, tmp_path, bundle):
    shutil.copy(photos / "sub" / "cat_0.jpg", photos / "deadly.jpg")

    def engine(run, batches):
        return run_in_processes(run, batches, 1)

    annotator = DeadlyAnnotator(bundle)
    summary = annotate(photos, tmp_path / "out", bundle, engine=engine, annotator=annotator)
    assert (summary.rows, summary.errors) == (24, 2)
    errors = (tmp_path / "out" / "annotate-errors.jsonl").read_text().splitlines()
    assert "process ends that looks at it" in json.loads(errors[1])["error"]


def test_a_bundle_that_cannot_be_used_is_said(photos, tmp_path, call):
    (tmp_path / "x.tflite").write_bytes(b"no bundle")
    code, _, err = call(
        "annotate", photos, "--output", tmp_path / "o", "--bundle", tmp_path / "x.tflite"
    )
    assert code == 2 and err.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_errors_have_a_file_of_their_own(photos, tmp_path, bundle):
    summary = annotate(photos, tmp_path / "o", bundle)
    assert (summary.rows, summary.errors) == (24, 1)
    (line,) = (tmp_path / "o" / "annotate-errors.jsonl").read_text().splitlines()
    path = f"{photos}/broken.jpg"
    assert json.loads(line) == {
        "path": path,
        "error": f"{path} is cut short or damaged; copy it again",
    }
    (photos / "broken.jpg").unlink()
    assert annotate(photos, tmp_path / "o", bundle).errors == 0
    assert not (tmp_path / "o" / "annotate-errors.jsonl").exists()


def test_changes_of_the_collection_change_their_rows_alone(many, tmp_path, bundle):
    output = tmp_path / "o"
    annotate(many, output, bundle)
    before = rows_files(output)
    (many / "0-cat_0.jpg").unlink()
    shutil.copy(many / "0-cat_1.jpg", many / "new.jpg")
    replaced = many / "4-cat_3.jpg"
    data = (many / "0-coffee_2.jpg").read_bytes()
    replaced.unlink()
    replaced.write_bytes(data)
    summary = annotate(many, output, bundle)
    assert summary.rows == 120 and 0 < summary.removed < 8
    assert len(before.keys() & rows_files(output).keys()) > 3
    rows = rows_of(output)
    assert [row["path"] for row in rows] == sorted(f"{many}/{name}" for name in os.listdir(many))
    annotate(many, tmp_path / "new", bundle)
    assert rows_files(output) == rows_files(tmp_path / "new")


def test_a_folder_that_cannot_be_read_now_keeps_its_rows(photos, tmp_path, bundle, monkeypatch):
    annotate(photos, tmp_path / "o", bundle)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    summary = annotate(photos, tmp_path / "o", bundle)
    assert summary.removed == 0
    assert {row["path"] for row in rows_of(tmp_path / "o")} >= {f"{photos}/sub/cat_0.jpg"}


def test_another_runs_folder_is_refused(photos, tmp_path, bundle, call):
    output = tmp_path / "o"
    annotate(photos, output, bundle)
    before = rows_files(output)
    options = ("--bundle", bundle, "--output", output, "--batch", BATCH)
    code, _, err = call("annotate", photos, *options)
    assert code == 2 and "holds the rows of a run with another format; give another" in err
    code, _, err = call("annotate", photos / "sub", *options, "--format", "jsonl", "--features")
    assert code == 2 and "another features and sources" in err and err.count("\n") == 1
    (output / ".annotate" / "run.json").write_text("[]")
    code, _, err = call("annotate", photos, *options, "--format", "jsonl")
    assert code == 2 and "record, which is damaged" in err
    assert rows_files(output) == before


def test_two_runs_do_not_share_a_folder(photos, tmp_path, bundle):
    def engine(run, batches):
        with pytest.raises(PicaptionError, match="another picaption annotates into .*/o; wait"):
            annotate(photos, tmp_path / "o", bundle)
        return run_inline(run, batches)

    assert annotate(photos, tmp_path / "o", bundle, engine=engine).rows == 24


def test_an_empty_collection_is_said(tmp_path, call, bundle):
    (tmp_path / "empty").mkdir()
    options = ("--bundle", bundle, "--output", tmp_path / "o", "--workers", 1)
    code, _, err = call("annotate", tmp_path / "empty", *options)
    assert code == 2 and "the sources hold no pictures" in err
    (tmp_path / "empty" / "a.heic").touch()
    code, _, err = call("annotate", tmp_path / "empty", *options)
    assert code == 2 and "no pictures but .heic; convert them" in err


def test_pictures_at_an_address_and_rows_at_one(photos, tmp_path, call, bundle):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(photos), "/in", recursive=True)
    options = ("--bundle", bundle, "--format", "jsonl")
    code, out, err = call("annotate", "memory://in", "--output", "memory://out", *options)
    assert (code, err) == (0, "") and "24 rows in memory://out" in out
    rows = [
        json.loads(line)
        for name in memory.ls("/out", detail=False)
        if "rows-" in name
        for line in memory.cat_file(name).splitlines()
    ]
    annotate(photos, tmp_path / "o", bundle)
    local = {row["hash"]: row | {"path": ""} for row in rows_of(tmp_path / "o")}
    assert {row["hash"]: row | {"path": ""} for row in rows} == local
    code, _, err = call(
        "annotate", "memory://in", "--output", "o", "--scheduler", "tcp://127.0.0.1:1"
    )
    assert code == 2 and "memory:// is this process's own" in err


def test_a_shards_rows_are_those_of_its_files(shard, tmp_path, bundle):
    import gzip

    summary = annotate(shard, tmp_path / "o", bundle)
    assert (summary.rows, summary.errors) == (6, 6)
    compressed = shard.with_suffix(".tgz")
    compressed.write_bytes(gzip.compress(shard.read_bytes()))
    annotate(compressed, tmp_path / "z", bundle)
    summary = annotate(compressed, tmp_path / "z", bundle)
    assert (summary.rows, summary.errors, summary.skipped) == (6, 6, 12)
    plain = [row | {"path": ""} for row in rows_of(tmp_path / "o")]
    assert plain == [row | {"path": ""} for row in rows_of(tmp_path / "z")]
    assert not (tmp_path.parent / "escaped.jpg").exists()


def test_sidecars_stand_beside_pictures_and_spare_other_programs_ones(photos, bundle):
    other = photos / "sub" / "cat_1.jpg.xmp"
    other.write_text("<x:xmpmeta x:xmptk='digiKam'/>")
    for _ in range(2):
        summary = annotate(photos, photos, bundle, "xmp")
        assert (summary.rows, summary.errors) == (23, 2)
    assert "picaption" in (photos / "sub" / "cat_0.jpg.xmp").read_text()
    assert other.read_text() == "<x:xmpmeta x:xmptk='digiKam'/>"
    assert "stays as it is" in (photos / "annotate-errors.jsonl").read_text()


def test_sidecars_elsewhere_mirror_the_folders(photos, shard, tmp_path, bundle):
    annotate(photos, tmp_path / "o", bundle, "xmp")
    assert (tmp_path / "o" / "sub" / "cat_0.jpg.xmp").is_file()
    annotate(shard.parent, shard.parent, bundle, "xmp")
    assert sorted(path.name for path in shard.parent.glob("000.tar.d/*")) == [
        f"{key:04}.jpg.xmp" for key in range(6)
    ]


def test_metadata_stands_above_the_pictures(photos, tmp_path, bundle, call):
    annotate(photos, photos, bundle, "metadata")
    lines = (photos / "metadata.jsonl").read_text().splitlines()
    names = [json.loads(line)["file_name"] for line in lines]
    assert names == sorted(names) and len(names) == 24 and "sub/cat_0.jpg" in names
    assert all((photos / name).is_file() for name in names)
    code, _, err = call("annotate", photos, "--output", tmp_path / "o", "--format", "metadata")
    assert code == 2 and f"give --output {photos}" in err


def test_options_that_contradict_each_other_are_said(photos, tmp_path, call):
    code, _, err = call(
        "annotate", photos, "--output", tmp_path, "--workers", 2, "--scheduler", "tcp://x:1"
    )
    assert code == 2 and "--workers are processes of this machine" in err


def test_a_progress_line_says_rate_and_time_left(capsys):
    now = [0.0]
    line = ProgressLine(False, lambda: now[0])
    line.total = 1000
    assert line.line(0, 100, 0) == "100 of 1,000 pictures, 10%"
    for second in range(0, 130, 10):
        now[0] = float(second)
        line.update(second * 2, 100, 3)
    # One line a minute; the rate is that of the last minute.
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "220 of 1,000 pictures, 22%, 2.0/s, 6:30 left, 3 cannot be read",
        "340 of 1,000 pictures, 34%, 2.0/s, 5:30 left, 3 cannot be read",
    ]
    terminal = ProgressLine(True, lambda: now[0])
    now[0] += 1
    terminal.update(5, 0, 0)
    terminal.clear()
    assert capsys.readouterr().err == "\r\x1b[K5 pictures, 5.0/s\r\x1b[K"


def test_cores_are_those_that_this_process_may_use():
    assert 1 <= current_cores() <= (os.cpu_count() or 1)
