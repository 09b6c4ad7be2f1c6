"""The device's commands. What a command works with is imported when it runs."""

import json
import logging
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from .atomic import require_other_files
from .cli import PathType, beam_option, bundle_option
from .config.options import GroupedCommand, options
from .config.settings import SECRETS, Config
from .config.toml import LoadedConfig, load_config, to_toml
from .errors import CameraError, PicaptionError
from .log import one_line, printable, say

if TYPE_CHECKING:
    from .live.pipeline import Pipeline
    from .outputs.web.server import WebServer
    from .recognition.result import Recognition, Score
    from .teaching.teach import TeachResult

logger = logging.getLogger(__name__)

#: So many of the classes that were taught are named at the start.
SHOWN_CLASSES = 10

threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Number of threads.  [default: one per core, at most 4]",
)


@click.command("image")
@click.argument("files", nargs=-1, required=True, metavar="PATH...", type=PathType(path_type=Path))
@bundle_option
@threads_option
@beam_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "--save",
    type=PathType(path_type=Path),
    metavar="PATH",
    help="Write the annotated picture to PATH, a folder if there are several.",
)
def image_command(
    files: Sequence[Path],
    bundle: Path | None,
    threads: int | None,
    beam: int | None,
    as_json: bool,
    save: Path | None,
) -> None:
    """Caption pictures, with tags and classes.

    PATH is a picture or a folder of pictures.
    """
    from .images import read_image, write_image
    from .outputs.overlay import annotate
    from .recognition.recognizer import open_recognizer

    files = expand_folders(files)
    targets = saved_paths(files, save)
    recognizer = open_recognizer(bundle, threads, beam)
    failures = 0
    for file, target in zip(files, targets):
        try:
            image = read_image(file)
            recognition = recognizer(image)
            if target is not None:
                write_image(target, annotate(image, recognition))
        except PicaptionError as error:
            failures += 1
            say(f"picaption: {one_line(str(error))}", err=True)
            continue
        if as_json:
            say(json.dumps({"file": str(file)} | recognition.to_json()))
        else:
            say(*describe(file, recognition).split("\n"))
    if failures:
        sys.exit(2)


def expand_folders(files: Sequence[Path]) -> list[Path]:
    """Return the files, and in place of a folder the pictures in it.

    Raises:
        PicaptionError: A folder has none; or a file is - or an address.
    """
    from .addresses import scheme_of
    from .images import list_images

    paths: list[Path] = []
    for file in files:
        # A path has a single slash for the two of an address.
        if str(file) == "-" or scheme_of(str(file).replace(":/", "://", 1)):
            raise PicaptionError(
                f"{file} is not a file: give paths of pictures or folders; picaption live --source "
                "takes the address of a camera"
            )
        paths += list_images(file) if file.is_dir() else [file]
    return paths


def saved_paths(files: Sequence[Path], save: Path | None) -> Sequence[Path | None]:
    """Return where `image` writes the annotated image of every file.

    It is `save` itself, or NAME.captioned.jpg in it if it is a folder or there are several files;
    that folder is made. No file is overwritten by its own image.

    Args:
        files: The files of the command line.
        save: What --save says; None: nothing is written.

    Raises:
        PicaptionError: A file would be overwritten, or the folder cannot be made.
    """
    from .images import IMAGE_SUFFIXES

    if save is None:
        return [None] * len(files)
    if len(files) == 1 and not save.is_dir():
        if save.exists() and files[0].exists() and save.samefile(files[0]):
            raise PicaptionError(
                f"--save {save} would overwrite the picture itself; give another path"
            )
        return [save]
    if save.suffix.lower() in IMAGE_SUFFIXES and not save.is_dir():
        raise PicaptionError(
            f"--save {save} is the name of one picture; for several, give a folder"
        )
    names = [f"{file.stem}.captioned.jpg" for file in files]
    for name in names:
        if names.count(name) > 1:
            raise PicaptionError(
                f"two pictures would be saved as {name}; save them into different folders"
            )
    try:
        save.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PicaptionError(
            f"{save} cannot be made a folder ({error.strerror}); give a folder's path"
        ) from None
    return [save / name for name in names]


def describe(file: Path, recognition: "Recognition") -> str:
    """Return a Recognition as lines for a terminal, under the file's name."""
    lines = [str(file)]
    if recognition.caption:
        confidence = ""
        if recognition.caption.confidence is not None:
            confidence = f" ({recognition.caption.confidence:.2f})"
        lines.append(f"  caption  {recognition.caption.hedged}{confidence}")
    if recognition.silence is not None:
        lines.append(f"  silent   {recognition.silence}")
    if recognition.classes:
        lines.append(f"  classes  {_classes(recognition)}")
    if recognition.names:
        lines.append(f"  names    {_scores(recognition.names)}")
    if recognition.tags:
        lines.append(f"  tags     {_scores(recognition.tags)}")
    stages = ", ".join(
        f"{stage} {milliseconds:.1f}"
        for stage, milliseconds in recognition.timings.items()
        if stage != "total"
    )
    lines.append(f"  time     {recognition.timings['total']:.1f} ms: {stages}")
    return "\n".join(map(printable, lines))


def _classes(recognition: "Recognition") -> str:
    """Return the classes and their scores; those that are not certain have a question mark."""
    if recognition.unsure:
        return f"unsure: {_scores(recognition.classes)}"
    return ", ".join(
        f"{score.name}{'?' if is_doubted else ''} {score.score:.2f}"
        for score, is_doubted in recognition.doubted_classes
    )


def _scores(scores: "Iterable[Score]") -> str:
    return ", ".join(f"{score.name} {score.score:.2f}" for score in scores)


@click.command("live", cls=GroupedCommand)
@options
def live_command(config_path: Path | None, **overrides: Any) -> None:
    """Caption what a camera sees, until ctrl-C.

    picaption classifies every frame, and captions it if the scene has changed. Each picture of a
    folder is a scene. Every option can stand in a file of settings, as `max_fps = 2` for
    --max-fps 2; `picaption config` shows all of them. SIGHUP makes it read that file and the bundle
    again.
    """
    from . import log
    from .fleet import output as fleet_status
    from .live.heap import bound_heap
    from .live.loop import run
    from .live.pipeline import Pipeline
    from .live.requests import RequestHandler
    from .outputs.outputs import OUTPUTS
    from .system import sd_notify

    bound_heap()
    loaded = load_config(overrides, config_path)
    config = loaded.config
    log.configure(config.log_level)
    hide_secrets(config)
    pipeline = Pipeline(config, outputs={**OUTPUTS, "fleet": fleet_status})

    def reload() -> None:
        sd_notify.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        reload_settings(pipeline, overrides, loaded)
        sd_notify.notify("READY=1")

    with closing(pipeline):
        if not config.quiet:
            print_start(pipeline)
        pipeline.sinks["systemd"] = sd_notify.ReadySink()
        summary = run(
            pipeline,
            config.frames,
            config.seconds,
            reload,
            sd_notify.Watchdog(),
            requests=RequestHandler(pipeline),
        )
        sd_notify.notify("STOPPING=1")
    if not config.quiet:
        say(str(summary), err=True)


def print_start(pipeline: "Pipeline") -> None:
    """Print the source of a live run, and its page's address, to standard error."""
    config = pipeline.config
    demo = ""
    if config.source == "auto" and pipeline.name == "demo":
        demo = " (no camera found)"
    say(f"source: {pipeline.name}{demo}; stop with ctrl-C", err=True)
    state = pipeline.control.state
    if state.is_taught:
        classes = printable(", ".join(state.labels[:SHOWN_CLASSES]))
        more = ", ..." if len(state.labels) > SHOWN_CLASSES else ""
        say(f"classes: taught in {config.teach}: {classes}{more}", err=True)
    if "web" in pipeline.sinks:
        token = ", which asks for its token" if config.token else ""
        page = cast("WebServer", pipeline.sinks["web"])
        say(f"page: {page.address}{token}", err=True)


def reload_settings(pipeline: "Pipeline", overrides: dict[str, Any], loaded: LoadedConfig) -> None:
    """Read the file of settings again and apply it; an error is logged and changes nothing."""
    try:
        config = load_config(overrides, loaded.path).config
        hide_secrets(config)
        pipeline.reload(config)
    except PicaptionError as error:
        logger.error("%s; the settings stay as they were", error)


def hide_secrets(config: Config) -> None:
    """Keep the secret settings out of the log."""
    from . import log

    for name in SECRETS:
        log.hide(getattr(config, name))


@click.command("config", cls=GroupedCommand)
@options
def config_command(config_path: Path | None, **overrides: Any) -> None:
    """Print the settings in effect for `live`.

    Each comes with its origin; secrets stay hidden. The command line overrides the environment
    (PICAPTION_TOKEN, PICAPTION_MQTT_PASSWORD), and the environment overrides the file. The output
    is a valid file of settings.
    """
    print(to_toml(load_config(overrides, config_path)), end="")


@click.command("bench")
@bundle_option
@click.option(
    "--threads",
    metavar="LIST",
    help="Numbers of threads to measure, such as 1,2 or 1..4.  [default: that of `live`]",
)
@beam_option
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=5,
    show_default=True,
    metavar="S",
    help="Measure each step for S seconds.",
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
    help="Source of the live loop's frames, as for `live`.",
)
@click.option(
    "--accuracy",
    multiple=True,
    type=PathType(),
    metavar="PATH",
    help="Also measure accuracy on a folder of class folders, or show figures that `picaption "
    "evaluate --json FILE` measured for this bundle. Repeat it for more.",
)
@click.option(
    "--json",
    "json_file",
    type=PathType(),
    metavar="FILE",
    help="Write the figures as JSON; - is standard output.",
)
@click.option(
    "--html",
    "page",
    type=PathType(),
    metavar="FILE",
    help="Write a page with histograms and time series of all steps.",
)
@click.option(
    "--compare",
    nargs=2,
    type=PathType(),
    metavar="FILE FILE",
    help="Measure nothing; print what changed between two such JSON files, beyond noise.",
)
@click.option(
    "--share",
    is_flag=True,
    help="Also print a row for docs/reports/boards.md. It names neither this computer nor its "
    "camera.",
)
def bench_command(
    bundle: Path | None,
    threads: str | None,
    beam: int | None,
    seconds: float,
    count: int | None,
    source: str,
    accuracy: Sequence[str],
    json_file: str | None,
    page: str | None,
    compare: tuple[str, str] | None,
    share: bool,
) -> None:
    """Measure each step of a frame on this board.

    Every step runs as a single stream, and the live loop runs last. Each installed runtime and
    each number of threads gets a process of its own. The figures are milliseconds, and come with
    reasons to doubt them.
    """
    from .bench.bench import (
        bench,
        check_output_files,
        parse_threads,
        run_plan_with_bar,
        write_report,
    )

    check_output_files(json_file if json_file != "-" else None, page)
    require_other_files(
        {"--json": json_file, "--html": page},
        {"--bundle": bundle, "--source": source} | {path: path for path in accuracy},
    )
    if compare:
        from .bench.compare import compare_files

        if json_file or page or accuracy or share:
            raise PicaptionError(
                "--compare measures nothing: leave out --json, --html, --accuracy and --share"
            )
        say(*compare_files(*compare))
        return
    if share and json_file == "-":
        raise PicaptionError("--share prints a row, so --json takes a file in place of -")
    report = bench(
        bundle,
        None if threads is None else parse_threads(threads),
        beam,
        seconds,
        count,
        source,
        accuracy,
        measure=run_plan_with_bar,
    )
    write_report(report, json_file, page)
    if share:
        from .bench.share import share_lines

        say("", *share_lines(report))


@click.command("inspect")
@click.argument("bundle", type=PathType())
@click.option("--graph", is_flag=True, help="List the operators.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def inspect_command(bundle: str, graph: bool, as_json: bool) -> None:
    """Show what a bundle or .tflite file holds.

    Signatures, tensors, metadata, labels, sizes, and a hash of a bundle's content.
    """
    from .bundle.summary import summarize, summary_lines

    summary = summarize(bundle)
    if as_json:
        say(*json.dumps(summary.to_json(), indent=1).split("\n"))
    else:
        say(*summary_lines(summary, graph))


@click.command("teach")
@click.argument("folder", type=PathType(path_type=Path), required=False)
@click.option(
    "--output",
    type=PathType(path_type=Path),
    metavar="PATH",
    help="File to write the new bundle to.",
)
@bundle_option
@click.option(
    "--describe",
    "texts",
    multiple=True,
    metavar="TEXT",
    help="Describe a class: 'mug: a cup with a handle for coffee'. Repeat it for each class.",
)
@click.option(
    "--keep-examples",
    "keep",
    is_flag=True,
    help="Store the pictures' features in the new bundle, so that --add can extend it later.",
)
@click.option(
    "--add",
    is_flag=True,
    help="Add to the classes and features stored in --bundle.",
)
@click.option(
    "--say-classes",
    "say_classes",
    is_flag=True,
    help="Use certain classes in captions: 'my mug on a table' instead of 'a cup on a table'.",
)
@click.option(
    "--capture",
    "name",
    metavar="CLASS",
    help="First take pictures of that class, into FOLDER/CLASS.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="Number of pictures that --capture takes.",
)
@click.option(
    "--every",
    type=click.FloatRange(0, 60),
    default=0.5,
    show_default=True,
    metavar="S",
    help="Seconds between these pictures.",
)
@click.option(
    "--source",
    default="auto",
    show_default=True,
    metavar="SOURCE",
    help="Camera, as for `live`.",
)
@click.option(
    "--other-things",
    type=click.FloatRange(0.1, 100),
    default=5,
    show_default=True,
    metavar="PERCENT",
    help="Share of pictures of other things that may get a class; 100: all.",
)
@threads_option
def teach_command(
    folder: Path | None,
    output: Path | None,
    bundle: Path | None,
    texts: tuple[str, ...],
    keep: bool,
    add: bool,
    say_classes: bool,
    name: str | None,
    count: int,
    every: float,
    source: str,
    other_things: float,
    threads: int | None,
) -> None:
    """Teach new classes from a few pictures.

    FOLDER has a folder of pictures for each class. The new bundle captions as before, and
    classifies by these pictures. Three pictures per class are enough; more are better. A class
    needs none if --describe or its name says enough. Pictures in a folder "none of these" show no
    class. Without --output, the command ends after --capture.
    """
    if folder is None and (name or not texts):
        raise PicaptionError("give the folder of the classes' pictures, or --describe the classes")
    if name and folder is not None:
        capture_class(folder, name, count, every, source)
    if output is not None:
        share = other_things / 100
        teach_folder(folder, output, bundle, threads, texts, keep, add, share, say_classes)
    elif not name:
        raise PicaptionError(
            "give --output, the path of the new bundle, or --capture to take pictures"
        )


def capture_class(folder: Path, name: str, count: int, interval: float, source: str) -> None:
    """Take images for a class with a camera, and print how many."""
    from .sources.sources import open_source
    from .teaching.capture import capture

    if Path(name).name != name or name.startswith("."):
        raise PicaptionError(
            f"--capture {name!r} is not a class name: give one without slashes or a dot before it"
        )
    camera = open_source(source)
    if camera.name == "demo":
        camera.close()
        if source == "auto":
            raise CameraError(
                "there is no camera to take pictures with; plug one in, or give --source"
            )
        raise PicaptionError("the demo shows no class of yours: give --source a camera or a file")
    try:
        paths = capture(camera, folder / name, count, interval)
    finally:
        camera.close()
    say(f"{folder / name}: {len(paths)} pictures taken by {camera.name}")


def teach_folder(
    folder: Path | None,
    output: Path,
    bundle: Path | None,
    threads: int | None,
    texts: Sequence[str] = (),
    keep: bool = False,
    add: bool = False,
    other_share: float = 0.05,
    say_classes: bool = False,
) -> None:
    """Write a bundle with the classes of a folder, and print how well they are recognised.

    Args:
        folder: a folder of pictures for each class; None: the descriptions are all there is.
        output: where to write the bundle.
        bundle: lends the encoder and the captioner; None: the shipped one.
        threads: of the runtime.
        texts: descriptions of classes, a line each.
        keep: whether the bundle keeps what it made of the pictures.
        add: whether they are added to what `bundle` keeps.
        other_share: the share of pictures of other things that may get a class, 0 to 1.
        say_classes: whether captions say the classes by their names.
    """
    from .bundle.bundle import default_bundle
    from .bundle.examples import examples_bytes
    from .teaching.teach import teach
    from .teaching.words.descriptions import read_descriptions

    def on_progress(paths: Any) -> Iterator[Any]:
        with click.progressbar(paths, label="looking", file=sys.stderr) as bar:
            yield from bar

    started = time.perf_counter()
    descriptions = read_descriptions(folder, texts)
    result = teach(
        bundle or default_bundle(),
        folder,
        output,
        threads,
        on_progress,
        descriptions=descriptions,
        keep=keep,
        add=add,
        other_share=other_share,
        say=say_classes,
    )
    for line in result.skipped:
        say(f"left out: {line}", err=True)
    for line in result.notes:
        say(f"note: {line}", err=True)
    for label, words in result.unknown_words.items():
        say(f"{label}: words that the bundle does not know: {', '.join(words)}", err=True)
    width = max(len(printable(label)) for label in result.image_counts)
    for label, image_count in result.image_counts.items():
        described = " and a description" if descriptions.get(label) else ""
        say(f"{printable(label):{width}}  {image_count} pictures{described}")
    for label, nouns in result.nouns.items():
        if nouns:
            say(f"captions say {label} in place of {', '.join(nouns)}")
        else:
            say(f"captions do not say {label}: they have no word for it")
    if result.stored is not None:
        size = len(examples_bytes(result.stored))
        say(f"{output} keeps {len(result.stored)} examples, {size / 1e3:.0f} kB before packing")
    seconds = time.perf_counter() - started
    say(f"{output}: {accuracy_text(result)}; {seconds:.1f} s")
    if result.other_share is not None:
        beside = ""
        if result.negatives:
            beside = f"; {result.negatives} pictures of none of these were taught beside others"
        say(
            f"of 100 pictures of other things, about {100 * result.other_share:g} would get a "
            f"class{beside}"
        )


def accuracy_text(result: "TeachResult") -> str:
    """Return what is known of how well taught classes are recognised."""
    if not any(result.image_counts.values()):
        return "taught by words alone, with no picture to try it on"
    if len(result.image_counts) == 1:
        return "one class, distinguished from other things"
    if math.isnan(result.held_out_accuracy):
        return "taught by too few pictures to try it on some of them"
    return (
        f"{result.held_out_accuracy:.0%} of a class's pictures classified correctly, on average "
        "over the classes, by classifiers that did not learn from them"
    )
