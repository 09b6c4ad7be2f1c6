"""The LSTM yardstick as an int8 graph, and the command that measures it."""

import json

import keras
import numpy as np
import pytest

from picaption.convert.benchmarks.lstm_baseline import (
    convert_lstm,
    graph_signatures,
    main,
    read_run,
)
from picaption.device import PicaptionError
from picaption.device.bundle.bundle import log_softmax
from picaption.device.bundle.metadata import Beam
from picaption.models.run_folder import FloatModel
from picaption.models.training.lstm_baseline import build_lstm, keras_step


def test_int8_agrees_with_the_float_models_where_it_was_calibrated():
    keras.utils.set_random_seed(1)
    decoder = build_lstm(8, words=30, embedding=12, hidden=16, dropout=0.4)
    features = np.abs(np.random.default_rng(0).normal(size=(15, 8))).astype(np.float32)
    start, step = graph_signatures(convert_lstm(decoder, Beam(3, 4, 8, 1.0), features))
    for row in features[:, None]:
        context = np.asarray(decoder.context(row))
        np.testing.assert_allclose(start(row), context, atol=0.03)  # A step of int8 is 0.014 here.
        float_state = [np.repeat(np.tanh(context), 3, axis=0), np.zeros((3, 16), np.float32)]
        int8_state = float_state
        for words in np.array([[0, 0, 0], [3, 9, 29], [12, 4, 3]], np.int32):
            expected, *float_state = keras_step(decoder)(words, *float_state, context)
            logits, *int8_state = step(words, *int8_state, context)
            np.testing.assert_allclose(int8_state, float_state, atol=0.02)
            np.testing.assert_allclose(
                np.exp(log_softmax(logits)), np.exp(log_softmax(expected)), atol=0.003
            )


def test_the_command_measures_a_run(run, data, bundle, tmp_path, capsys):
    options = ["--data", data, "--bundle", bundle, "--epochs", 3, "--out", tmp_path]
    with pytest.raises(SystemExit) as done:
        main([str(run), *map(str, options)])
    assert not done.value.code
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == [
        "pictures",
        "beam",
        "hidden",
        "weights",
        "perplexity",
        "float",
        "int8",
        "megabytes",
        "milliseconds",
    ]
    assert figures["pictures"] == 6
    assert figures["beam"] == 2
    assert figures["weights"]["lstm"] == pytest.approx(figures["weights"]["ngram"], rel=0.05)
    assert 1 < figures["perplexity"] < len(FloatModel(run).vocabulary)
    assert {"BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr"} <= set(figures["float"])
    assert set(figures["float"]) == set(figures["int8"])
    assert abs(figures["float"]["BLEU-1"] - figures["int8"]["BLEU-1"]) < 20
    assert figures["megabytes"] == pytest.approx(
        (tmp_path / "lstm.tflite").stat().st_size / 1e6, abs=0.01
    )
    assert all(figures["milliseconds"][name] > 0 for name in ("lstm", "ngram"))


def test_a_run_reads_its_own_captions_only(run, data):
    model = FloatModel(run)
    run_data = read_run(run, data, model.vocabulary)
    assert run_data.settings.text
    assert len(run_data.train.captions) == 18
    assert len(run_data.dev.captions) == len(run_data.dev_records) == 6
    assert [len(captions) for captions in run_data.train.captions] == [2] * 18
    words = model.vocabulary.decode(run_data.dev.captions[0][0])
    assert words == ("a", "woman", "in", "an", "orange", "suit", "smiles")


def test_data_of_another_run_is_refused(run, data, tmp_path):
    for name in ("images", "captions.token.txt", "dev.txt"):
        (tmp_path / name).symlink_to(data / name)
    (tmp_path / "train.txt").write_text("cat_0.jpg\n")
    with pytest.raises(
        PicaptionError, match="1 pictures with captions where the run has features of 18"
    ):
        read_run(run, tmp_path, FloatModel(run).vocabulary)


def test_a_folder_that_is_no_run_gives_one_line(data, bundle, tmp_path, capsys):
    with pytest.raises(SystemExit) as done:
        main([str(tmp_path), "--data", str(data), "--bundle", str(bundle)])
    assert done.value.code == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    assert error.startswith("picaption: ")
    assert "it is not a finished training run" in error
