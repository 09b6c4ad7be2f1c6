"""A module of PyTorch in this process as a quantized, checked bundle."""

from pathlib import Path
from typing import TYPE_CHECKING

from picaption.models.files import need_folder
from picaption.models.networks.network_file import LoadedNetwork

from .conversion import Conversion
from .import_network import NetworkSource
from .options import Agreement, ConversionOptions, ImportOptions
from .representative import choose_images

if TYPE_CHECKING:
    import torch


def convert_torch(
    module: "torch.nn.Module",
    output: Path | str,
    representative: Path | str,
    classifier: ImportOptions | None = None,
    options: ConversionOptions | None = None,
) -> Agreement:
    """Convert a classifier of PyTorch to a bundle.

    Args:
        module: It takes images [1, 3, size, size]; its mode stays as it is.
        output: Where to write the bundle.
        representative: As for convert.convert.
        classifier: Its labels, pixels and size; a timm model tells the last two itself.
        options: How to quantize; None: as ConversionOptions has it.

    Returns:
        How far the bundle's scores are from the module's own.

    Raises:
        PicaptionError: As for convert_network.

    Example:
        model = timm.create_model("mobilenetv3_large_100", pretrained=True)
        convert_torch(model, "model.tflite", "photos", ImportOptions(labels=names))
    """
    from picaption.models.networks.torch_network import load_module

    classifier = classifier or ImportOptions()
    options = options or ConversionOptions()
    output = Path(output)
    need_folder(output)
    options.check()
    name = type(module).__name__
    loaded = load_module(module, name, classifier.size, classifier.output_name)
    network = LoadedNetwork(model=None, takes_one=True, **vars(loaded))
    source = NetworkSource(Path(name), network, classifier)
    chosen = choose_images(Path(representative), None, source.input, options)
    source.check_exact(chosen)
    return Conversion(source, output, chosen, options).run()
