"""A run becomes a bundle that says the same."""

import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from picaption.convert import RUNTIMES, convert
from picaption.convert.tflite.operators import KINDS, signatures
from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.device.bundle.bundle import read_bundle
from picaption.device.images import write_image
from picaption.models.run_folder import FloatModel


def test_int8_bundle_agrees_with_the_float_models(run, bundle, photos):
    model, found = FloatModel(run), Bundle(bundle)
    for image in photos.values():
        picture = Recognizer(found).prepare(image)
        exact, quantized = model.encode(picture), found.encode(picture)
        cosine = (exact.features @ quantized.features.T).item() / (
            np.linalg.norm(exact.features) * np.linalg.norm(quantized.features)
        )
        assert cosine > 0.97
        history = np.array([[0, 0], [0, 3]], np.int32)
        np.testing.assert_allclose(
            np.exp(found.next_word(history, exact.context)),
            np.exp(model.next_word(history, exact.context)),
            atol=0.05,
        )


def test_a_second_run_gives_the_same_bits(bundle, photos):
    first, second = (Bundle(bundle) for _ in range(2))
    picture = Recognizer(first).prepare(photos["coffee"])
    one, other = first.encode(picture), second.encode(picture)
    for name in ("features", "context", "tags"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_next_word_takes_any_beam_width(bundle, photos):
    recognizer = Recognizer(bundle)
    context = recognizer.model.encode(recognizer.prepare(photos["coffee"])).context
    for width in (1, 2, 5):
        scores = recognizer.model.next_word(np.zeros((width, 2), np.int32), context)
        assert scores.shape == (width, len(recognizer.model.vocabulary))
        np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=0.1)


def test_float32_bundle_is_the_float_models(run, data, tmp_path, photos):
    agreement = convert.convert(
        run, tmp_path / "float.tflite", data / "images", precision="float32"
    )
    assert (
        agreement.features < 1e-5
        and agreement.words < 1e-5
        and agreement.classes < 1e-5
        and agreement.caption == 1
    )


def test_weights_alone_quantized_agree(run, bundle, data, tmp_path):
    path = tmp_path / "dynamic.tflite"
    agreement = convert.convert(run, path, data / "images", precision="dynamic")
    assert agreement.features < 0.01 and agreement.words < 0.02
    assert (
        abs(path.stat().st_size / bundle.stat().st_size - 1) < 0.2
    )  # Weights of 8 bits, all of them.


def test_weights_of_16_bits_are_half_as_large_and_nearly_the_same(run, data, tmp_path):
    sizes = {}
    for precision in ("float16", "float32"):
        path = tmp_path / f"{precision}.tflite"
        agreement = convert.convert(run, path, data / "images", precision=precision)
        sizes[precision] = path.stat().st_size
    assert 0.45 < sizes["float16"] / sizes["float32"] < 0.6
    agreement = convert.convert(
        run, tmp_path / "again.tflite", data / "images", precision="float16"
    )
    assert (
        agreement.features < 1e-4
        and agreement.classes > 0
        and agreement.words < 1e-3
        and agreement.caption == agreement.top == 1
    )


def scales(path):
    """Return how many scales the weights of each product and convolution of a bundle have, by the operator's kind."""
    model = schema.ModelT.InitFromPackedBuf(read_bundle(path).graph, 0)
    found = {}
    for name in ("encode", "next_word"):
        subgraph = signatures(model)[name]
        for operator in subgraph.operators:
            kind = KINDS[model.operatorCodes[operator.opcodeIndex].builtinCode]
            if kind in ("CONV_2D", "FULLY_CONNECTED"):
                found.setdefault(kind, set()).add(
                    len(subgraph.tensors[operator.inputs[1]].quantization.scale)
                )
    return found


def test_weights_have_a_scale_a_channel_a_tensor_or_what_the_old_runtime_takes(
    run, bundle, data, tmp_path
):
    each, both, old = scales(bundle), tmp_path / "tensor.tflite", tmp_path / "old.tflite"
    assert min(each["CONV_2D"]) > 1 and min(each["FULLY_CONNECTED"]) > 1
    convert.convert(run, both, data / "images", per_tensor=True)
    assert scales(both) == {"CONV_2D": {1}, "FULLY_CONNECTED": {1}}
    convert.convert(run, old, data / "images", runtime="tflite-runtime")
    assert scales(old) == {"CONV_2D": each["CONV_2D"], "FULLY_CONNECTED": {1}}
    with pytest.raises(PicaptionError, match="float32 gives weights no scale"):
        convert.convert(run, both, data / "images", precision="float32", per_tensor=True)


def test_products_of_the_dynamic_kind_are_of_a_version_that_the_old_runtime_has(
    run, data, tmp_path
):
    versions = {}
    for runtime in RUNTIMES:
        convert.convert(
            run, tmp_path / "dynamic.tflite", data / "images", precision="dynamic", runtime=runtime
        )
        model = schema.ModelT.InitFromPackedBuf(read_bundle(tmp_path / "dynamic.tflite").graph, 0)
        versions[runtime] = {
            code.version
            for code in model.operatorCodes
            if KINDS[code.builtinCode] == "FULLY_CONNECTED"
        }
    assert versions == {"ai-edge-litert": {12}, "tflite-runtime": {9}}


def test_a_captions_file_names_the_same_pictures_as_their_folder(run, bundle, data, tmp_path):
    convert.convert(
        run, tmp_path / "same.tflite", data / "captions.token.txt", images=data / "images"
    )
    assert (tmp_path / "same.tflite").read_bytes() == bundle.read_bytes()


def test_activations_of_16_bits_agree_better(run, bundle, data, tmp_path):
    path = tmp_path / "int16.tflite"
    agreement = convert.convert(run, path, data / "images", precision="int16")
    assert agreement.features < 1e-3 and agreement.words < 1e-3 and agreement.caption == 1
    assert agreement.classes < 5e-3  # The classifier's weights have 8 bits here too.
    # Words come as floating point, and are looked up as exactly as numbers are; for any beam width.
    history = np.array([[0, 0], [0, 5], [5, 9], [9, 1]], np.int32)
    exact, found = FloatModel(run), Bundle(path)
    context = exact.encode(np.zeros((64, 64, 3), np.uint8)).context
    np.testing.assert_allclose(
        found.next_word(history, context), exact.next_word(history, context), atol=0.1
    )


def test_a_captioner_of_a_low_rank_with_attention_converts(data, settings, tmp_path, photos):
    from picaption.models.training.train import train

    looking = dataclasses.replace(
        settings,
        labels="",
        text="",
        network="mobilenet_v2",
        alpha=0.1,
        pooling="attention",
        rank=16,
        epochs=10,
    )
    train(looking, data, tmp_path / "run")
    agreement = convert.convert(tmp_path / "run", tmp_path / "looks.tflite", data / "images")
    assert agreement.words < 0.05
    model, bundle = FloatModel(tmp_path / "run"), Bundle(tmp_path / "looks.tflite")
    assert model.captioner.next_word.get_layer("query").get_weights()[0].any()
    picture = Recognizer(bundle).prepare(photos["cat"])
    assert bundle.encode(picture).context.shape == (1, 4, 32)  # 64 / 32 places squared
    assert bundle.encode(picture).features.shape == model.encode(picture).features.shape


def test_the_same_run_converts_to_the_same_bytes(run, bundle, data, tmp_path):
    convert.convert(run, tmp_path / "again.tflite", data / "images")
    assert (tmp_path / "again.tflite").read_bytes() == bundle.read_bytes()


def test_disagreement_beyond_the_bound_writes_nothing(run, data, tmp_path, monkeypatch):
    output = tmp_path / "old.tflite"
    output.write_text("what was there")
    monkeypatch.setattr(
        convert,
        "BOUNDS",
        convert.Agreement(features=1e-9, words=1e-9, classes=1e-9, caption=0, top=0),
    )
    with pytest.raises(
        PicaptionError, match="is not written: its features differ from the float model"
    ):
        convert.convert(run, output, data / "images")
    assert output.read_text() == "what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["old.tflite"]


def test_too_few_representative_pictures(run, tmp_path, photos):
    write_image(tmp_path / "one.jpg", photos["cat"])
    with pytest.raises(PicaptionError, match="1 pictures are too few for a representative dataset"):
        convert.convert(run, tmp_path / "out.tflite", tmp_path)


def test_a_folder_that_is_no_run(tmp_path, data):
    with pytest.raises(PicaptionError, match="no finished training run"):
        convert.convert(tmp_path, tmp_path / "out.tflite", data / "images")
