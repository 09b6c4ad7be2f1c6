"""The device's commands. What a command works with is imported when it runs."""

import json
import logging
import sys
import time
from contextlib import closing
from pathlib import Path

import click

from .config.options import options
from .config.settings import SECRETS
from .config.toml import load_config, to_toml
from .errors import PicaptionError

logger = logging.getLogger("picaption")

bundle_option = click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The bundle to recognise with.  [default: the shipped one]",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Threads to compute with.  [default: a thread a core, at most 4]",
)

beam_option = click.option(
    "--beam",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Width of the beam search for the caption.  [default: the bundle's]",
)


@click.command("image")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@bundle_option
@threads_option
@beam_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write the annotated picture to PATH; for several, PATH is a folder.",
)
def image_command(files, bundle, threads, beam, as_json, save):
    """Caption pictures and name what they show."""
    from .images import read_image, write_image
    from .outputs.overlay import annotate
    from .recognition.recognizer import open_recognizer

    targets = saved_paths(files, save) if save else [None] * len(files)
    recognizer = open_recognizer(bundle, threads, beam)
    failures = 0
    for file, target in zip(files, targets):
        try:
            picture = read_image(file)
            recognition = recognizer(picture)
            if target:
                write_image(target, annotate(picture, recognition))
        except PicaptionError as error:
            failures += 1
            print(f"picaption: {error}", file=sys.stderr)
            continue
        print(
            json.dumps({"file": str(file)} | recognition.to_json())
            if as_json
            else describe(file, recognition),
            flush=True,
        )
    if failures:
        sys.exit(2)


def saved_paths(files, save):
    """Return where `image` writes the annotated picture of each file: `save` itself, or, where it is a folder or
    there are several files, NAME.captioned.jpg in it, which is then made. Nothing given is ever written over."""
    if len(files) == 1 and not save.is_dir():
        if save.exists() and files[0].exists() and save.samefile(files[0]):
            raise PicaptionError(
                f"--save {save} would overwrite the picture itself; give another path"
            )
        return [save]
    names = [f"{file.stem}.captioned.jpg" for file in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise PicaptionError(
            f"two pictures would be saved as {twice}; save them into different folders"
        )
    try:
        save.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PicaptionError(
            f"{save} cannot be made a folder ({error.strerror}); give a folder's path"
        ) from None
    return [save / name for name in names]


def describe(file, recognition):
    """Return a Recognition as lines for a terminal: caption, classes, tags and timings under the file's name."""

    def scores(items):
        return ", ".join(f"{item.name} {item.score:.2f}" for item in items)

    rows = {
        "caption": recognition.caption and recognition.caption.text,
        "classes": "unsure: " * recognition.unsure + scores(recognition.classes),
        "tags": scores(recognition.tags),
        "time": f"{recognition.timings['total']:.1f} ms: "
        + ", ".join(
            f"{stage} {spent:.1f}"
            for stage, spent in recognition.timings.items()
            if stage != "total"
        ),
    }
    return "\n".join([str(file), *(f"  {name:8} {text}" for name, text in rows.items() if text)])


@click.command("live")
@options
def live_command(config_path, **told):
    """Say what a camera sees, several times a second, until ctrl-C.

    Every frame is classified; it is captioned where the scene has changed. Each picture of a folder is a scene. Every option can
    stand in a file of settings, as `max_fps = 2` for --max-fps 2: `picaption config` shows which hold. SIGHUP reads that file
    and the bundle anew.
    """
    from . import log
    from .live.loop import run
    from .live.pipeline import Pipeline
    from .system import sd_notify

    found = load_config(told, config_path)
    config = found.config
    log.configure(config.log_level)
    hide_secrets(config)
    parts = Pipeline(config)

    def reload():
        sd_notify.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            wanted = load_config(told, found.path).config
            hide_secrets(wanted)
            parts.reload(wanted)
        except PicaptionError as error:
            logger.error("%s; the settings stay as they were", error)
        sd_notify.notify("READY=1")

    with closing(parts):
        if not config.quiet:
            demo = " (no camera found)" if config.source == "auto" and parts.name == "demo" else ""
            print(f"source: {parts.name}{demo}; stop with ctrl-C", file=sys.stderr)
            if "web" in parts.sinks:
                token = ", with ?token=... once" if config.token else ""
                print(f"page: {parts.sinks['web'].address}{token}", file=sys.stderr)
        parts.sinks["systemd"] = sd_notify.Ready()
        summary = run(parts, config.frames, config.seconds, reload, sd_notify.Watchdog())
        sd_notify.notify("STOPPING=1")
    if not config.quiet:
        print(summary, file=sys.stderr)


def hide_secrets(config):
    """Keep the secret settings of a Config out of what is logged."""
    from . import log

    for name in SECRETS:
        log.hide(getattr(config, name))


@click.command("config")
@options
def config_command(config_path, **told):
    """Print the settings of `live` that hold, and where each comes from; secrets are not shown.

    The command line goes before the environment (PICAPTION_TOKEN, PICAPTION_MQTT_PASSWORD), that before the file. What is printed
    can be a file of settings itself.
    """
    print(to_toml(load_config(told, config_path)), end="")


@click.command("bench")
@bundle_option
@click.option(
    "--threads",
    metavar="LIST",
    help="Numbers of threads to measure, such as 1,2 or 1..4.  [default: as live takes]",
)
@beam_option
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=5,
    show_default=True,
    metavar="S",
    help="How long to measure each step.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 10_000_000),
    metavar="N",
    help="Measure N calls of each step instead.",
)
@click.option(
    "--source",
    default="demo",
    show_default=True,
    metavar="SOURCE",
    help="Where the live loop's frames come from, as `live` takes it.",
)
@click.option(
    "--accuracy",
    multiple=True,
    type=click.Path(),
    metavar="PATH",
    help="Measure the classes on a folder of class folders too, or show what `picaption evaluate --json FILE` measured of "
    "this bundle; may be given again.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(),
    metavar="FILE",
    help="Write the figures as JSON; - is standard output.",
)
@click.option(
    "--html",
    "page",
    type=click.Path(),
    metavar="FILE",
    help="Write a page with a histogram and the course of each step.",
)
@click.option(
    "--compare",
    nargs=2,
    type=click.Path(),
    metavar="FILE FILE",
    help="Measure nothing: say what is different in the second of two such JSON files, beyond noise.",
)
def bench_command(bundle, threads, beam, seconds, count, source, accuracy, json_file, page, compare):
    """Measure what a frame costs here, step by step, with all around it.

    Each step runs as a single stream, and the live loop last, in milliseconds; each runtime that is installed and each number of
    threads in a process of its own. What makes a measurement doubtful is told.
    """
    from .bench.bench import bench, need_folders, threads_of, write_whole
    from .bench.table import table

    need_folders(json_file if json_file != "-" else None, page)
    if compare:
        from .bench.compare import compare_files

        if json_file or page or accuracy:
            raise PicaptionError(
                "--compare measures nothing: give it without --json, --html and --accuracy"
            )
        print("\n".join(compare_files(*compare)))
        return
    figures = bench(
        bundle,
        None if threads is None else threads_of(threads),
        beam,
        seconds,
        count or 0,
        source,
        accuracy,
        lambda text: print(text, file=sys.stderr),
    )
    print(json.dumps(figures) if json_file == "-" else "\n".join(table(figures)))
    if json_file not in (None, "-"):
        write_whole(json_file, json.dumps(figures) + "\n")
    if page:
        from .bench.page import page_of

        write_whole(page, page_of(figures))


@click.command("inspect")
@click.argument("bundle", type=click.Path())
@click.option("--graph", is_flag=True, help="List the operators.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def inspect_command(bundle, graph, as_json):
    """Tell what BUNDLE holds, or any .tflite file: signatures, tensors, metadata, labels, sizes, a hash of its content."""
    from .bundle.summary import summarize, summary_lines

    summary = summarize(bundle)
    if as_json:
        print(json.dumps(summary.to_json(), indent=1))
    else:
        print("\n".join(summary_lines(summary, graph)))


@click.command("teach")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where to write the new bundle.",
)
@bundle_option
@click.option(
    "--capture",
    "name",
    metavar="CLASS",
    help="First take pictures for that class, into FOLDER/CLASS.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="How many pictures --capture takes.",
)
@click.option(
    "--every",
    type=click.FloatRange(0, 60),
    default=0.5,
    show_default=True,
    metavar="S",
    help="Seconds between them.",
)
@click.option(
    "--source",
    default="auto",
    show_default=True,
    metavar="SOURCE",
    help="The camera, as `live` takes it.",
)
@threads_option
def teach_command(folder, output, bundle, name, count, every, source, threads):
    """Teach the classes of FOLDER, which has a folder of pictures for each.

    The new bundle describes as before, and classifies by what these pictures show. Three pictures a class will do; more
    are better. Without --output, --capture takes pictures and leaves it at that.
    """
    import time

    from .bundle.bundle import default_bundle
    from .recognition.teach import capture, teach
    from .sources.sources import open_source

    if name:
        if Path(name).name != name or name.startswith("."):
            raise PicaptionError(
                f"--capture {name!r} is no class name: give one without slashes or a dot before it"
            )
        camera = open_source(source)
        try:
            taken = capture(camera, folder / name, count, every)
        finally:
            camera.close()
        print(f"{folder / name}: {len(taken)} pictures taken by {camera.name}")
    if not output:
        if not name:
            raise PicaptionError(
                "give --output, the path of the new bundle, or --capture to take pictures"
            )
        return
    started = time.perf_counter()

    def progress(pictures):
        with click.progressbar(pictures, label="looking", file=sys.stderr) as bar:
            yield from bar

    taught = teach(bundle or default_bundle(), folder, output, threads, progress)
    for line in taught.skipped:
        print(f"left out: {line}", file=sys.stderr)
    width = max(map(len, taught.pictures))
    for label, pictures in taught.pictures.items():
        print(f"{label:{width}}  {pictures} pictures")
    print(
        f"{output}: {taught.held_out:.0%} of the pictures told rightly by classifiers taught without them; "
        f"{time.perf_counter() - started:.1f} s"
    )
