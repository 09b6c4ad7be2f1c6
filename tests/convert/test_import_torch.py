"""Networks of PyTorch become bundles that say what PyTorch says of them.

They run where PyTorch is installed (pip install 'picaption[torch]'), which is too large for CI.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from picaption.convert.import_torch import convert_torch  # noqa: E402
from picaption.convert.options import ConversionOptions, ImportOptions  # noqa: E402
from picaption.device import PicaptionError, Recognizer  # noqa: E402
from tests.convert.networks import LABELS  # noqa: E402


@pytest.fixture(scope="module")
def module():
    """A small classifier of images [1, 3, 32, 32], with a configuration as timm's models have."""
    torch.manual_seed(4)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2, 1),
        torch.nn.BatchNorm2d(8),
        torch.nn.SiLU(),
        torch.nn.Conv2d(8, 8, 3, padding=1, groups=8),
        torch.nn.GELU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 4),
    )
    torch.nn.init.normal_(network[-1].weight, 0, 4)
    network.pretrained_cfg = {
        "input_size": (3, 32, 32),
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    return network.eval()


def own_scores(module, image):
    """Return PyTorch's probabilities of an image, scaled by ImageNet's figures."""
    mean = np.float32([0.485, 0.456, 0.406])
    std = np.float32([0.229, 0.224, 0.225])
    scaled = (image.astype(np.float32) / 255 - mean) / std
    with torch.no_grad():
        logits = module(torch.from_numpy(scaled.transpose(2, 0, 1).copy())[None])
    return torch.softmax(logits, 1)[0].numpy()


def test_a_module_by_its_own_configuration(module, data, photos, tmp_path):
    output = tmp_path / "out.tflite"
    agreement = convert_torch(
        module, output, data / "images", ImportOptions(LABELS), ConversionOptions("float32")
    )
    assert agreement.largest < 1e-4
    recognizer = Recognizer(output)
    image = recognizer.prepare(photos["cat"])
    np.testing.assert_allclose(recognizer.class_scores(image), own_scores(module, image), atol=1e-4)


def test_a_program_of_torch_export(module, data, photos, tmp_path, convert_command):
    path = tmp_path / "trees.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 32, 32),)), path)
    (tmp_path / "names.txt").write_text("\n".join(LABELS))
    output = tmp_path / "out.tflite"
    result = convert_command(
        *(path, "--output", output, "--representative", data / "images"),
        *("--names", tmp_path / "names.txt"),
        *("--pixels", "mean=0.485,0.456,0.406 std=0.229,0.224,0.225"),
    )
    assert result.code == 0
    recognizer = Recognizer(output)
    image = recognizer.prepare(photos["cat"])
    np.testing.assert_allclose(recognizer.class_scores(image), own_scores(module, image), atol=0.05)


def test_a_module_that_cannot_be_traced_is_named(data, tmp_path):
    class Undecided(torch.nn.Module):
        """Its way depends on the numbers in the image."""

        def forward(self, image):
            return image.mean((2, 3)) if image.sum() > 0 else image.amax((2, 3))

    with pytest.raises(PicaptionError, match="Undecided: torch.export cannot trace it"):
        convert_torch(
            Undecided(), tmp_path / "out", data / "images", ImportOptions(LABELS, "0..1", size=32)
        )
