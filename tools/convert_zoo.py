"""Convert torchvision's and keras.applications' classifiers, and write what came of each.

    python -m tools.convert_zoo --photos FOLDER --report docs/reports/networks.md

Every network runs in a process of its own, with limits of memory and time, the smallest first;
its weights are random, its normalization fitted to noise, so that numbers stay of one size from
layer to layer, and its last layer scaled, so that a few of its thousand classes are likely, as of a
trained network: what computes otherwise then shows. A line a network goes to --results, and
networks that stand there are left out: call it again and it goes on. It needs
picaption[convert,torch] and torchvision.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from picaption.convert.options import BOUNDS, ConversionOptions

#: The largest file of weights of networks that are tried, in megabytes.
MAX_MEGABYTES = 100
#: Bytes of a float32.
FLOAT_BYTES = 4
#: Images that a network's normalization is fitted to.
NOISE_IMAGES = 4
#: Few pictures give the ranges, and what int8 costs is reported, not refused.
OPTIONS = ConversionOptions(count=16, bounds=replace(BOUNDS, largest=1.0))
#: The standard deviation of the logits of a thousand classes.
LOGIT_DEVIATION = 3.0
#: Megabytes of keras.applications' networks, as keras.io/api/applications lists them; MobileNetV3
#: by its parameters.
KERAS_MEGABYTES = {
    "ConvNeXtBase": 338.6,
    "ConvNeXtLarge": 755.1,
    "ConvNeXtSmall": 192.3,
    "ConvNeXtTiny": 109.4,
    "ConvNeXtXLarge": 1310,
    "DenseNet121": 33,
    "DenseNet169": 57,
    "DenseNet201": 80,
    "EfficientNetB0": 29,
    "EfficientNetB1": 31,
    "EfficientNetB2": 36,
    "EfficientNetB3": 48,
    "EfficientNetB4": 75,
    "EfficientNetB5": 118,
    "EfficientNetB6": 166,
    "EfficientNetB7": 256,
    "EfficientNetV2B0": 29,
    "EfficientNetV2B1": 34,
    "EfficientNetV2B2": 42,
    "EfficientNetV2B3": 59,
    "EfficientNetV2L": 479,
    "EfficientNetV2M": 220,
    "EfficientNetV2S": 88,
    "InceptionResNetV2": 215,
    "InceptionV3": 92,
    "MobileNet": 16,
    "MobileNetV2": 14,
    "MobileNetV3Large": 22,
    "MobileNetV3Small": 10,
    "NASNetLarge": 343,
    "NASNetMobile": 23,
    "ResNet101": 171,
    "ResNet101V2": 171,
    "ResNet152": 232,
    "ResNet152V2": 232,
    "ResNet50": 98,
    "ResNet50V2": 98,
    "VGG16": 528,
    "VGG19": 549,
    "Xception": 88,
}
#: The shape of images for those that take any.
ANY_SIZE = (224, 224, 3)
#: Those that scale pixels from 0 to 255 themselves.
SCALES_ITSELF = ("ConvNeXt", "EfficientNet", "MobileNetV3")


def list_torchvision() -> list[tuple[str, float]]:
    """Return torchvision's classifiers and the megabytes of their weights."""
    from torchvision import models

    sizes = []
    for name in models.list_models(module=models):
        weights = models.get_model_weights(name).DEFAULT
        sizes.append((name, float(weights.meta["_file_size"])))
    return sizes


def convert_torchvision(name: str, photos: Path, output: Path) -> Any:
    """Convert a network of torchvision with random weights, and return its Agreement."""
    import torch
    from torchvision import models

    from picaption.convert.import_torch import convert_torch
    from picaption.convert.options import ImportOptions

    torch.manual_seed(0)
    size = 224
    preset = models.get_model_weights(name).DEFAULT.transforms()
    if preset.crop_size:
        size = int(preset.crop_size[0])
    network = models.get_model(name, weights=None)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    noise = torch.randn(NOISE_IMAGES, 3, size, size)
    with torch.no_grad():
        network.train()(noise)
        logits = network.eval()(noise)
        kinds = (torch.nn.Linear, torch.nn.Conv2d)
        last = [module for module in network.modules() if isinstance(module, kinds)][-1]
        last.weight *= LOGIT_DEVIATION / logits.std(1).mean()
    labels = tuple(f"class {index}" for index in range(1000))
    mean = ",".join(map(str, preset.mean))
    std = ",".join(map(str, preset.std))
    options = ImportOptions(labels, f"mean={mean} std={std}", size=size)
    return convert_torch(network, output, photos, options, OPTIONS)


def convert_keras(name: str, photos: Path, output: Path) -> Any:
    """Convert a network of keras.applications with random weights, and return its Agreement."""
    import keras
    import numpy as np

    from picaption.convert.import_network import convert_network
    from picaption.convert.options import ImportOptions

    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, name)
    network = build(weights=None)
    if None in network.input_shape[1:]:
        network = build(weights=None, input_shape=ANY_SIZE)
    pixels = "0..255" if name.startswith(SCALES_ITSELF) else "-1..1"
    noise = np.random.default_rng(0).uniform(-1, 1, (NOISE_IMAGES, *network.input_shape[1:]))
    if pixels == "0..255":
        noise = (noise + 1) * 127.5
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(noise, training=True)
    logits = np.log(np.asarray(network(noise, training=False)))
    last = [layer for layer in network.layers if hasattr(layer, "kernel")][-1]
    last.kernel.assign(last.kernel * (LOGIT_DEVIATION / logits.std(1).mean()))
    labels = tuple(f"class {index}" for index in range(1000))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.keras")
        network.save(path)
        options = ImportOptions(labels, pixels)
        return convert_network(path, output, photos, options, OPTIONS)


def convert_one(library: str, name: str, photos: Path) -> None:
    """Convert a network in this process, and print its result as a line of JSON."""
    from picaption.device.errors import PicaptionError

    convert = {"torchvision": convert_torchvision, "keras": convert_keras}[library]
    start = time.monotonic()
    result: dict[str, Any] = {"library": library, "name": name}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "bundle.tflite")
        try:
            agreement = convert(name, photos, output)
        except PicaptionError as error:
            result["refused"] = str(error)
        else:
            result |= {"top": agreement.top, "largest": agreement.largest}
            result["megabytes"] = round(output.stat().st_size / 1e6, 1)
    result["seconds"] = round(time.monotonic() - start)
    result["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
    print(json.dumps(result), flush=True)


def run_child(library: str, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Convert a network in a process of its own, and return its result."""
    command = [sys.executable, "-m", "tools.convert_zoo", "--photos", str(arguments.photos)]
    command += ["--one", library, name]

    def limit() -> None:
        memory = int(arguments.gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    failed: dict[str, Any] = {"library": library, "name": name}
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        child = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            timeout=arguments.seconds,
            preexec_fn=limit,
        )
    except subprocess.TimeoutExpired:
        return failed | {"refused": f"not done within {arguments.seconds} s"}
    lines = [line for line in child.stdout.splitlines() if line.startswith("{")]
    if child.returncode or not lines:
        last = (child.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        return failed | {"refused": f"failed: {last[:200]}"}
    return json.loads(lines[-1])


def report(results: list[dict[str, Any]], count: int) -> str:
    """Return the results as a page of Markdown."""
    converted = [result for result in results if "refused" not in result]
    near = [result for result in converted if result["largest"] <= BOUNDS.largest]
    lines = [
        "# Networks that convert",
        "",
        f"torchvision and keras.applications have {count} classifiers up to {MAX_MEGABYTES} MB of "
        f"weights. {len(results)} of them were tried, and {len(converted)} convert. Before it is "
        "quantized, each of torchvision's is held against PyTorch: no probability is further off "
        "than 0.02, or it is refused. The bundles of Keras' are held against Keras.",
        "",
        f"The largest difference is of a probability, in int8. {len(near)} stay within "
        f"{BOUNDS.largest}; the others, with a star, `picaption convert` refuses without `--mixed` "
        "or another `--precision`. Weights are random, which hides nothing of an operator, but is "
        "harder on int8 than trained ones are: which of a thousand classes comes first hangs on "
        "the last digits. Seconds count one core, and depend on what else the machine does.",
        "",
        "    python -m tools.convert_zoo --photos FOLDER --report docs/reports/networks.md",
        "",
        "| library | network | bundle, MB | largest difference | same first | seconds | peak, GB |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        start = f"| {result['library']} | {result['name']} "
        if "refused" in result:
            reason = str(result["refused"]).replace("|", "/")
            lines.append(f"{start}| refused: {reason} | | | {result.get('seconds', '')} | |")
            continue
        star = "" if result in near else " *"
        lines.append(
            f"{start}| {result['megabytes']} | {result['largest']:.4f}{star} | "
            f"{result['top']:.0%} | "
            f"{result['seconds']} | {result['peak_gb']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Convert what is not in --results yet, one network after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("zoo.jsonl"))
    parser.add_argument("--report", type=Path)
    parser.add_argument("--seconds", type=int, default=1800, help="for each network")
    parser.add_argument("--gigabytes", type=float, default=24, help="for each network")
    parser.add_argument("--most", type=int, help="stop after so many networks")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        convert_one(*arguments.one, arguments.photos)
        return
    networks = [("torchvision", *entry) for entry in list_torchvision()]
    networks += [("keras", *entry) for entry in KERAS_MEGABYTES.items()]
    networks = sorted(
        (entry for entry in networks if entry[2] <= MAX_MEGABYTES), key=lambda entry: entry[2]
    )
    results = []
    if arguments.results.exists():
        results = [json.loads(line) for line in arguments.results.read_text().splitlines()]
    done = {(result["library"], result["name"]) for result in results}
    waiting = [entry[:2] for entry in networks if entry[:2] not in done]
    for library, name in waiting[: arguments.most]:
        result = run_child(library, name, arguments)
        results.append(result)
        with arguments.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        print(json.dumps(result), flush=True)
    if arguments.report:
        arguments.report.write_text(report(results, len(networks)), encoding="utf-8")


if __name__ == "__main__":
    main()
