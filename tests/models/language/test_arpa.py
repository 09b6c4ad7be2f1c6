"""ARPA files, written and read; a, b, c are words 3, 4, 5."""

import gzip
import math
import os

import pytest

from picaption.device import PicaptionError
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, START_ID, UNKNOWN_ID, Vocabulary
from picaption.models.language.arpa import is_arpa, read_arpa, write_arpa
from picaption.models.language.ngram import (
    distribution,
    kneser_ney,
    log_probability,
    maximum_likelihood,
    perplexity,
)

WORDS = Vocabulary((*SPECIAL_WORDS, "a", "b", "c", "été"))
CAPTIONS = [[3, 4], [3, 4], [3, 5], [4, 3], [], [UNKNOWN_ID, 4, 4]]

#: Written by hand, as toolkits differ: a comment, <s> with a probability, spaces for tabs, and
#: no <unk>.
FILE = """\
made by hand

\\data\\
ngram 1=4
ngram 2 = 3

\\1-grams:
0 <s> -0.30103
-0.5\t</s>
-0.30103\ta\t-0.60206
-0.69897\tb

\\2-grams:
-0.1\t<s> a
-0.2\ta b
-0.4\ta </s>

\\end\\
"""


def write_and_read(path, model):
    write_arpa(path, model, WORDS)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("estimate", [maximum_likelihood, kneser_ney])
@pytest.mark.parametrize("order", range(1, 6))
def test_a_model_read_back_is_the_same(tmp_path, order, estimate):
    model = estimate(CAPTIONS, order, len(WORDS))
    text = write_and_read(tmp_path / "model.arpa", model)
    back, vocabulary = read_arpa(tmp_path / "model.arpa")
    assert vocabulary.words == WORDS.words
    assert (back.order, back.size) == (order, len(WORDS))
    for history in [*model.probabilities, (6,) * (order - 1)]:
        assert distribution(back, history) == pytest.approx(distribution(model, history), rel=1e-8)
    assert perplexity(back, CAPTIONS) == pytest.approx(perplexity(model, CAPTIONS), rel=1e-8)
    assert log_probability(back, [6, 3]) == pytest.approx(log_probability(model, [6, 3]), rel=1e-8)
    assert write_and_read(tmp_path / "again.arpa", back) == text


def test_what_is_written_is_arpa(tmp_path):
    model = maximum_likelihood([[3, 4], [3]], 2, len(WORDS))
    assert write_and_read(tmp_path / "model.arpa", model).split("\n") == [
        "\\data\\",
        "ngram 1=7",
        "ngram 2=4",
        "",
        "\\1-grams:",
        "-99\t<s>\t-99",
        "-0.397940009\t</s>",
        "-99\t<unk>",
        "-0.397940009\ta\t-99",
        "-0.698970004\tb\t-99",
        "-99\tc",
        "-99\tété",
        "",
        "\\2-grams:",
        "0.0\t<s> a",
        "-0.301029996\ta b",
        "-0.301029996\ta </s>",
        "0.0\tb </s>",
        "",
        "\\end\\",
        "",
    ]


def test_a_file_of_another_toolkit_is_read(tmp_path):
    (tmp_path / "model.arpa").write_text(FILE)
    model, vocabulary = read_arpa(tmp_path / "model.arpa")
    assert vocabulary.words == (*SPECIAL_WORDS, "a", "b")
    assert distribution(model, (START_ID,)) == pytest.approx(
        [0, 10**-0.5 / 2, 0, 10**-0.1, 0.1], rel=1e-5
    )
    assert log_probability(model, [3, 4]) == pytest.approx(math.log(10) * (-0.1 - 0.2 - 0.5))
    assert log_probability(model, [UNKNOWN_ID]) == -math.inf


@pytest.mark.parametrize(
    "old, new, line, wrong",
    [
        ("\\end\\", "", 16, "the file ends without"),
        ("\\data\\", "\\date\\", 18, "the file ends without"),
        ("ngram 1=4", "ngram 1=many", 4, "expected 'ngram 1=' and a number"),
        ("ngram 1=4\n", "", 4, "expected 'ngram 1=' and a number"),
        ("ngram 1=4\nngram 2 = 3\n", "", 5, "expected 'ngram 1=' and a number"),
        ("ngram 1=4", "ngram 1=5", 13, "expected 5 1-grams before it, as the head says, not 4"),
        ("ngram 2 = 3", "ngram 2 = 2", 16, "after the 2 n-grams that the head names"),
        ("\\2-grams:", "\\3-grams:", 13, "expected"),
        ("-0.5\t</s>", "nought\t</s>", 9, "'nought' is not a number of at most 0"),
        ("-0.5\t</s>", "nan\t</s>", 9, "'nan' is not a number"),
        ("-0.5\t</s>", "0.5\t</s>", 9, "'0.5' is not a number of at most 0"),
        ("-0.60206", "1e999", 10, "'1e999' is not a number of at most 99"),
        ("-0.5\t</s>", "-0.5\tend", 13, "expected <s> and </s> among the 1-grams"),
        ("-0.69897\tb", "-0.69897\ta", 11, "'a' stands there twice"),
        (
            "-0.69897\tb",
            "-0.69897",
            11,
            "expected log10 of a probability, 1 words and perhaps a back-off weight",
        ),
        ("a b", "a b -1", 15, "expected log10 of a probability, 2 words,"),
        ("a b", "a c", 15, "'c' is not among the 1-grams"),
        ("a b", "a </s>", 16, "this n-gram stands there twice"),
        ("a b", "a <s>", 15, "<s> stands first only"),
        ("a b", "</s> b", 15, "<s> stands first only, and </s> last"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(tmp_path, old, new, line, wrong):
    (tmp_path / "bad.arpa").write_text(FILE.replace(old, new, 1))
    with pytest.raises(PicaptionError) as caught:
        read_arpa(tmp_path / "bad.arpa")
    assert f"bad.arpa: line {line}: " in str(caught.value)
    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_history_that_is_pruned_backs_off(tmp_path):
    text = FILE.replace("ngram 2 = 3", "ngram 2 = 3\nngram 3=1")
    path = tmp_path / "pruned.arpa"
    path.write_text(text.replace("\\end\\", "\\3-grams:\n-0.25\t<s> b a\n\\end\\"))
    model, _ = read_arpa(path)
    # <s> backs off by 10^-0.30103, b comes with 10^-0.69897, a behind both with 10^-0.25, and then
    # </s> with 10^-0.4.
    expected = -0.30103 - 0.69897 - 0.25 - 0.4
    assert log_probability(model, [4, 3]) == pytest.approx(math.log(10) * expected)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("made by hand", "\ufeff\\data\\"),
        ("\\data\\", "\\DATA\\"),
        ("\\end\\", "\\End\\"),
        ("ngram 1=4", "ngram\t1=4"),
        ("-0.2\ta b", "-0.2\ta b\t0"),
        ("-0.2\ta b", "-0.2\ta b\t-0.0"),
    ],
)
@pytest.mark.parametrize("compress", [lambda data: data, gzip.compress])
def test_how_others_write_the_same(tmp_path, old, new, compress):
    path = tmp_path / "model"
    text = FILE.replace(old, new, 1)
    if new.startswith("\ufeff"):  # A byte order mark stands at the very beginning.
        text = text.replace("\n\\data\\", "", 1)
    path.write_bytes(compress(text.encode()))
    assert is_arpa(path)
    model, vocabulary = read_arpa(path)
    assert vocabulary.words == (*SPECIAL_WORDS, "a", "b")
    assert log_probability(model, [3, 4]) == pytest.approx(math.log(10) * (-0.1 - 0.2 - 0.5))


def test_unknown_words_by_their_other_name(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(FILE.replace("ngram 1=4", "ngram 1=5").replace("\n-0.5", "\n-1 <UNK>\n-0.5", 1))
    model, vocabulary = read_arpa(path)
    assert vocabulary.words == (*SPECIAL_WORDS, "a", "b")
    # <s> backs off; behind <unk> there are 1-grams alone.
    expected = -0.30103 - 1 - 0.5
    assert log_probability(model, [UNKNOWN_ID]) == pytest.approx(math.log(10) * expected)


def test_a_weight_that_is_none_in_the_highest_order(tmp_path):
    (tmp_path / "bad.arpa").write_text(FILE.replace("a b", "a b\t-0.1", 1))
    with pytest.raises(PicaptionError, match="line 15: expected log10 of a probability, 2 words,"):
        read_arpa(tmp_path / "bad.arpa")


def test_half_a_gzip_file(tmp_path):
    (tmp_path / "half.arpa.gz").write_bytes(gzip.compress(FILE.encode() * 9)[:60])
    with pytest.raises(PicaptionError, match="half.arpa.gz: it is not a whole gzip file; copy it"):
        read_arpa(tmp_path / "half.arpa.gz")
    assert is_arpa(tmp_path / "half.arpa.gz")
    (tmp_path / "bundle").write_bytes(b"\0\0\0\0TFL3")
    assert not is_arpa(tmp_path / "bundle")
    assert not is_arpa(tmp_path / "none")


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "bad.arpa").write_bytes(b"\\data\\\n\xff\xfe")
    for path in (tmp_path / "bad.arpa", tmp_path / "missing.arpa", tmp_path):
        with pytest.raises(PicaptionError, match=f"{path}: cannot read this as an ARPA file"):
            read_arpa(path)


def test_words_that_the_format_cannot_hold_are_refused(tmp_path):
    model = maximum_likelihood([[3]], 2, 4)
    for word in ("", "ice cream", "a\tb"):
        with pytest.raises(PicaptionError, match="take it out of the vocabulary"):
            write_arpa(tmp_path / "model.arpa", model, Vocabulary((*SPECIAL_WORDS, word)))
    with pytest.raises(ValueError, match="of 4 words, the vocabulary of 7"):
        write_arpa(tmp_path / "model.arpa", model, WORDS)
    assert not list(tmp_path.iterdir())


def test_a_line_without_an_end_is_not_read(tmp_path):
    path = tmp_path / "long.arpa.gz"
    path.write_bytes(gzip.compress(b"\\data\\\nngram 1=" + b"1" * (2 << 20)))
    with pytest.raises(PicaptionError, match="long.arpa.gz: cannot .*: .*a line has 1048576 chara"):
        read_arpa(path)


def test_a_pipe_is_no_arpa_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.arpa")
    with pytest.raises(PicaptionError, match="it is not a file"):
        read_arpa(tmp_path / "pipe.arpa")
    os.rename(tmp_path / "pipe.arpa", tmp_path / "pipe")
    assert not is_arpa(tmp_path / "pipe")
