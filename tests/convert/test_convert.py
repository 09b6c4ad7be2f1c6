"""A run becomes a bundle that says the same."""

import dataclasses
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from picaption.convert import RUNTIMES
from picaption.convert.convert import convert
from picaption.convert.options import Agreement, ConversionOptions
from picaption.convert.tflite.operators import opcode_of, signature_subgraphs
from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.device.bundle.archive import read_bundle
from picaption.models.data.readers import read_labels
from picaption.models.run_folder import FloatModel
from tests import tiny


@dataclass(frozen=True)
class Converted:
    """A bundle, and how far it is from the run that it was made of."""

    path: Path
    agreement: Agreement


@pytest.fixture(scope="module")
def converted(run, data, tmp_path_factory):
    """A function that converts `run` by ConversionOptions, by the same ones once."""

    @cache
    def convert_run(options):
        path = tmp_path_factory.mktemp("converted") / "tiny.tflite"
        return Converted(path, convert(run, path, data / "images", options))

    return convert_run


def test_a_second_run_gives_the_same_bits(bundle, photos):
    first, second = (Bundle(bundle) for _ in range(2))
    image = Recognizer(first).prepare(photos["coffee"])
    for field in dataclasses.fields(first.encode(image)):
        np.testing.assert_array_equal(
            getattr(first.encode(image), field.name), getattr(second.encode(image), field.name)
        )


def test_next_word_takes_any_beam_width(bundle, photos):
    recognizer = Recognizer(bundle)
    context = recognizer.model.encode(recognizer.prepare(photos["coffee"])).context
    for width in (1, 2, 5):
        scores = recognizer.model.next_word(np.zeros((width, 2), np.int32), context)
        assert scores.shape == (width, len(recognizer.model.vocabulary))
        np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=0.1)


def test_float32_bundle_is_the_float_models(converted):
    agreement = converted(ConversionOptions("float32")).agreement
    assert agreement.features < 1e-5
    assert agreement.words < 1e-5
    assert agreement.classes < 1e-5
    assert agreement.caption == 1


def test_weights_alone_quantized_agree(converted, bundle):
    dynamic = converted(ConversionOptions("dynamic"))
    assert dynamic.agreement.features < 0.01
    assert dynamic.agreement.words < 0.02
    # Weights of 8 bits, all of them.
    assert abs(dynamic.path.stat().st_size / bundle.stat().st_size - 1) < 0.2


def test_weights_of_16_bits_are_half_as_large_and_nearly_the_same(converted):
    half = converted(ConversionOptions("float16"))
    exact = converted(ConversionOptions("float32"))
    assert 0.45 < half.path.stat().st_size / exact.path.stat().st_size < 0.6
    assert half.agreement.features < 1e-4
    assert half.agreement.classes > 0
    assert half.agreement.words < 1e-3
    assert half.agreement.caption == half.agreement.top == 1


def scale_counts(path):
    """Return how many scales weights of a bundle have, by the opcode of the operator."""
    model = schema.ModelT.InitFromPackedBuf(read_bundle(path).graph, 0)
    counts = {}
    for name in ("encode", "next_word"):
        subgraph = signature_subgraphs(model)[name]
        for operator in subgraph.operators:
            opcode = opcode_of(model, operator)
            if opcode in ("CONV_2D", "FULLY_CONNECTED"):
                scales = subgraph.tensors[operator.inputs[1]].quantization.scale
                counts.setdefault(opcode, set()).add(len(scales))
    return counts


def test_weights_have_a_scale_a_channel_a_tensor_or_what_the_old_runtime_takes(
    run, bundle, data, tmp_path, converted
):
    per_channel = scale_counts(bundle)
    assert min(per_channel["CONV_2D"]) > 1
    assert min(per_channel["FULLY_CONNECTED"]) > 1
    tensor = converted(ConversionOptions(per_tensor=True)).path
    assert scale_counts(tensor) == {"CONV_2D": {1}, "FULLY_CONNECTED": {1}}
    old = converted(ConversionOptions(runtime="tflite-runtime")).path
    assert scale_counts(old) == {"CONV_2D": per_channel["CONV_2D"], "FULLY_CONNECTED": {1}}
    with pytest.raises(PicaptionError, match="float32 gives weights no scale"):
        options = ConversionOptions("float32", per_tensor=True)
        convert(run, tmp_path / "tensor.tflite", data / "images", options)


def test_dynamic_products_are_of_a_version_that_the_old_runtime_has(converted):
    versions = {}
    for runtime in RUNTIMES:
        path = converted(ConversionOptions("dynamic", runtime=runtime)).path
        model = schema.ModelT.InitFromPackedBuf(read_bundle(path).graph, 0)
        versions[runtime] = {
            code.version
            for code in model.operatorCodes
            if code.builtinCode == schema.BuiltinOperator.FULLY_CONNECTED
        }
    assert versions == {"ai-edge-litert": {12}, "tflite-runtime": {9}}


def test_a_captions_file_gives_the_same_bytes_as_its_folder(run, bundle, data, tmp_path):
    same = tmp_path / "same.tflite"
    convert(run, same, data / "captions.token.txt", images=data / "images")
    assert same.read_bytes() == bundle.read_bytes()


def test_activations_of_16_bits_agree_better(run, converted):
    agreement = converted(ConversionOptions("int16")).agreement
    assert agreement.features < 1e-3
    assert agreement.words < 1e-3
    assert agreement.caption == 1
    assert agreement.classes < 5e-3  # The classifier's weights have 8 bits here too.
    # Word ids come as floating point, and are looked up as exactly; for any beam width.
    history = np.array([[0, 0], [0, 5], [5, 9], [9, 1]], np.int32)
    model = FloatModel(run)
    context = model.encode(np.zeros((64, 64, 3), np.uint8)).context
    np.testing.assert_allclose(
        Bundle(converted(ConversionOptions("int16")).path).next_word(history, context),
        model.next_word(history, context),
        atol=0.1,
    )


def amplify(path):
    """Give folded weights the size with which a network of ReLUs keeps what is in its image."""
    with np.load(path) as arrays:
        weights = dict(arrays)
    for name, weight in weights.items():
        if name.endswith("_w"):
            inputs = np.prod(weight.shape[1:3] if len(weight) == 1 else weight.shape[1:])
            weights[name] = weight * np.sqrt(2 / inputs) / weight.std()
    np.savez(path, **weights)


def test_a_captioner_of_a_low_rank_with_attention_converts(data, settings, tmp_path, photos):
    from picaption.models.training.train import train

    weights = tmp_path / "lively.npz"
    tiny.write_folded_weights(weights, classes=2)
    amplify(weights)
    attentive = dataclasses.replace(
        settings,
        labels="",
        text="",
        network="mobilenet_v2",
        alpha=0.35,
        weights=str(weights),
        pooling="attention",
        rank=16,
        finetune_epochs=0,
        epochs=4,
        scst_epochs=0,
    )
    train(attentive, data, tmp_path / "run")
    agreement = convert(tmp_path / "run", tmp_path / "attentive.tflite", data / "images")
    assert agreement.words < 0.05
    model = FloatModel(tmp_path / "run")
    bundle = Bundle(tmp_path / "attentive.tflite")
    assert model.captioner.next_word.get_layer("query").get_weights()[0].any()
    image = Recognizer(bundle).prepare(photos["cat"])
    assert bundle.encode(image).context.shape == (1, 4, 32)  # 64 / 32 positions squared
    assert bundle.encode(image).features.shape == model.encode(image).features.shape


def test_a_run_is_tuned_and_says_so(run, data, tmp_path):
    dataset = read_labels(data / "labels.tsv", data / "images", data / "dev.txt")
    reports = []
    convert(
        run,
        tmp_path / "tuned.tflite",
        data / "images",
        ConversionOptions(count=10, max_loss=-100.0),
        dataset=dataset,
        on_report=reports.append,
    )
    bundle = Bundle(tmp_path / "tuned.tflite")
    tuned = bundle.metadata.provenance["tuned"]
    assert tuned["bound"] == -100
    assert set(tuned) == {"bound", "lost", "lost_tuned"}
    evaluation = reports[0].evaluation
    better = min(tuned["lost"], tuned["lost_tuned"])
    lost = evaluation.float32["mAP"] - evaluation.bundle["mAP"]
    assert lost == pytest.approx(better, abs=0.011)
    assert reports[0].agreement.features < 0.05
    assert FloatModel(run).labels == bundle.labels


@pytest.mark.parametrize("precision", ["float16", "int16"])
def test_only_int8_is_tuned(run, data, tmp_path, precision):
    options = ConversionOptions(precision, max_loss=1.0)
    with pytest.raises(PicaptionError, match=f"weights of 8 bits, and {precision} has others"):
        convert(run, tmp_path / "out.tflite", data / "images", options)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_run(tmp_path, data):
    with pytest.raises(PicaptionError, match="it is not a finished training run"):
        convert(tmp_path, tmp_path / "out.tflite", data / "images")


def test_too_few_images_leave_nothing(run, data, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "cat_0.jpg").write_bytes((data / "images" / "cat_0.jpg").read_bytes())
    with pytest.raises(PicaptionError, match="1 pictures are too few"):
        convert(run, tmp_path / "out.tflite", tmp_path / "images")
    assert not (tmp_path / "out.tflite").exists()
