"""Settings of a run: defaults, a TOML file and overrides, and what is refused."""

import dataclasses
import json
from pathlib import Path

import pytest

from picaption import models
from picaption.device.errors import PicaptionError
from picaption.models.settings import Settings, check, read_saved_settings, read_settings

CAPTIONS = ("captions=told.txt", "images=pictures")


@pytest.fixture
def recipe(tmp_path):
    """The path of a recipe that captions pictures in five epochs."""
    path = tmp_path / "recipe.toml"
    path.write_text('captions = "told.txt"\nimages = "pictures"\nepochs = 5\n')
    return path


def test_what_is_not_set_is_as_it_stands_in_the_class():
    assert read_settings(None, CAPTIONS) == Settings(captions="told.txt", images="pictures")


def test_a_file_sets_and_an_override_sets_it_again(recipe):
    assert read_settings(recipe) == Settings(captions="told.txt", images="pictures", epochs=5)
    assert read_settings(recipe, ["epochs=7", "epochs=9"]).epochs == 9
    assert read_settings(str(recipe), ["size=64"]) == Settings(
        captions="told.txt", images="pictures", epochs=5, size=64
    )


def test_a_byte_order_mark_is_no_part_of_a_recipe(recipe):
    recipe.write_bytes(b"\xef\xbb\xbf" + recipe.read_bytes())
    assert read_settings(recipe).epochs == 5


def test_a_recipe_stands_on_its_base(recipe, tmp_path):
    derived = tmp_path / "order_3.toml"
    derived.write_text('base = "recipe.toml"\norder = 3\nepochs = 2\n')
    assert read_settings(derived, ["seed=4"]) == Settings(
        captions="told.txt", images="pictures", order=3, epochs=2, seed=4
    )
    third = tmp_path / "rows" / "seeded.toml"
    third.parent.mkdir()
    third.write_text('base = "../order_3.toml"\nseed = 4\n')
    assert read_settings(third) == read_settings(derived, ["seed=4"])
    recipe.write_text('base = "rows/seeded.toml"\n')
    with pytest.raises(PicaptionError, match="it stands on itself"):
        read_settings(third)
    derived.write_text('base = "missing.toml"\n')
    with pytest.raises(
        PicaptionError, match="missing.toml: cannot read the settings: No such file"
    ):
        read_settings(derived)


@pytest.mark.parametrize(
    "override, name, value",
    [
        ("epochs=7", "epochs", 7),
        ("seed=7", "seed", 7),
        (" epochs = 7 ", "epochs", 7),
        ("dropout=0.25", "dropout", 0.25),
        ("learning_rate=1e-4", "learning_rate", 0.0001),
        ("alpha=1", "alpha", 1.0),
        ("name=garden", "name", "garden"),
        ("name=a=b", "name", "a=b"),
        ("name='2024'", "name", "2024"),
        ('licence="CC BY 4.0"', "licence", "CC BY 4.0"),
        ("weights=", "weights", ""),
    ],
)
def test_an_override_has_the_type_of_its_setting(override, name, value):
    settings = getattr(read_settings(None, [*CAPTIONS, override]), name)
    assert settings == value and type(settings) is type(value)


def test_integers_in_a_file_do_for_numbers(recipe):
    recipe.write_text(recipe.read_text() + "alpha = 1\nlength_penalty = 0\nlearning_rate = 1e-4\n")
    settings = read_settings(recipe)
    assert [type(value) for value in (settings.alpha, settings.length_penalty)] == [float, float]
    assert (settings.alpha, settings.length_penalty, settings.learning_rate) == (1, 0, 0.0001)


@pytest.mark.parametrize(
    "line, message",
    [
        ("seed = true", "the setting seed takes a whole number, not True"),
        ("seed = 2.0", "the setting seed takes a whole number, not 2.0"),
        ('seed = "5"', "the setting seed takes a whole number, not '5'"),
        ("alpha = false", "the setting alpha takes a number, not False"),
        ('alpha = "1.0"', "the setting alpha takes a number, not '1.0'"),
        ("name = 5", "the setting name takes a text, not 5"),
        ('name = ["a"]', "the setting name takes a text, not \\['a'\\]"),
        ("[name]", "the setting name takes a text, not {}"),
    ],
)
def test_a_value_of_another_type_is_refused(recipe, line, message):
    recipe.write_text(recipe.read_text() + line)
    with pytest.raises(PicaptionError, match=message):
        read_settings(recipe)


def test_an_unknown_setting_is_named_beside_those_there_are(recipe):
    with pytest.raises(
        PicaptionError, match="--set: no setting is called 'epoch'; there are: name, licence, seed"
    ):
        read_settings(None, [*CAPTIONS, "epoch=5"])
    recipe.write_text(recipe.read_text() + "colour = 1\n")
    with pytest.raises(PicaptionError, match="recipe.toml: no setting is called 'colour'"):
        read_settings(recipe)
    with pytest.raises(PicaptionError, match="--set epochs: write it as name=value"):
        read_settings(None, [*CAPTIONS, "epochs"])


@pytest.mark.parametrize(
    "content, message",
    [
        (b"epochs 5", "recipe.toml: not a TOML file: .*line 1"),
        (b"seed = 1\nseed = 2", "recipe.toml: not a TOML file"),
        (b"name = caf\xe9", "recipe.toml: not a TOML file"),
    ],
)
def test_a_file_that_is_no_toml_is_named(recipe, content, message):
    recipe.write_bytes(content)
    with pytest.raises(PicaptionError, match=message):
        read_settings(recipe)


def test_an_override_with_an_unknown_name_does_not_blame_the_file(recipe):
    with pytest.raises(PicaptionError, match="^--set: no setting is called 'epoch'"):
        read_settings(recipe, ["epoch=5"])


def test_a_text_may_look_like_a_number():
    assert read_settings(None, ["captions=told.txt", "images=2014"]).images == "2014"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PicaptionError, match="absent.toml: cannot read the settings: No such file"):
        read_settings(tmp_path / "absent.toml")
    with pytest.raises(PicaptionError, match="cannot read the settings: Is a directory"):
        read_settings(tmp_path)


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["scst_epochs=1"], "self-critical training is watched on dev pictures: set dev"),
        (
            ["network=resnet"],
            "network = 'resnet': it is one of mobilenet_v2, efficientnet_lite0, classic",
        ),
        (
            ["network=efficientnet_lite0", "weights=imagenet"],
            "belong to mobilenet_v2; for efficientnet_lite0 give an .npz",
        ),
        (["resize=letterbox"], 'resize = \'letterbox\': it is "stretch" or "crop"'),
        (["size=100"], "size = 100: it is a multiple of 32"),
        (["size=0"], "size = 0: "),
        (["size=544"], "size = 544: "),
        (["order=1"], "order = 1: it is 2 to 8"),
        (["order=9"], "order = 9: it is 2 to 8"),
        (["alpha=0"], "alpha = 0.0: it is above 0"),
        (["alpha=2.1"], "alpha = 2.1: it is above 0 and at most 2"),
        (["labels=l", "label_images=i", "folders=f"], "give either labels or folders, not both"),
        (["captions="], "nothing to learn from"),
        (["images="], "captions need the folder of their pictures"),
        (["labels=l"], "labels need the folder of their pictures"),
        (["label_captions=c"], "label_captions belong to labelled pictures beside captioned"),
        (["scst_absent_penalty=1"], "about the classes that pictures are labelled with"),
        (["scst_absent_penalty=-1"], "scst_absent_penalty = -1.0: it is from 0 to 100"),
        (["scst_captions_epochs=1"], "more epochs of self-critical training: set scst_epochs too"),
        (["partly_labelled=p"], "partly_labelled pictures are beside labelled ones"),
        (["more_text=m"], "more_text is for pictures to borrow from"),
        (["transfer_filter=all"], "transfer_filter = 'all': it is \"labels\" or empty"),
        (["named_labels=n", "more_text=m"], "need both their list and their folder"),
        (["named_words=imagenet"], "named_words are for pictures with names"),
        (["named_labels=n", "named_images=i"], "named_labels are for pictures beside captioned"),
        (["label_dev_captions=c"], "label_dev_captions belong to labelled dev pictures"),
        (["synthetic_per_image=1"], "synthetic_per_image needs captions without images: set text"),
        (["synthetic_per_image=inf"], "synthetic_per_image"),
        (["plain_text=p"], "plain_text is what synthetic_per_image draws from: set both"),
        (
            ["synthetic_per_image=1", "plain_text=p", "pooling=attention"],
            "synthetic_per_image makes features of whole images",
        ),
        (["network=classic"], "the classic network starts from nothing"),
        (["dropout=1.5"], "dropout = 1.5: it is from 0"),
        (["smoothing=2"], "smoothing = 2.0: it is from 0"),
        (["learning_rate=nan"], "learning_rate = nan: it is between"),
        (["patience=-1"], "patience = -1: it is at least 0"),
        (["seed=-3"], "seed = -3: it is at least 0"),
        (["scst_share=1.1"], "scst_share = 1.1"),
        (["finetune_share=-0.1"], "finetune_share = -0.1"),
        (["scst_samples=1"], "scst_samples = 1"),
        (["beam_width=65"], "beam_width = 65: it is at most 64"),
        (["min_words=30"], "min_words = 30, max_words = 18"),
        (["max_words=129"], "max_words = 129"),
        (["length_penalty=nan"], "length_penalty = nan"),
        (["tag_weight=-1"], "tag_weight = -1.0"),
        *(
            ([f"{name}=0"], f"{name} = 0: it is at least 1")
            for name in (
                "batch",
                "captions_per_image",
                "finetune_batch",
                "finetune_runs",
                "hidden",
                "embedding",
                "tags",
                "min_count",
                "beam_width",
                "max_words",
                "transfer_neighbours",
            )
        ),
    ],
)
def test_settings_that_contradict_are_refused(overrides, message):
    with pytest.raises(PicaptionError, match=message):
        read_settings(None, [*CAPTIONS, *overrides])


@pytest.mark.parametrize(
    "overrides",
    [
        ["folders=classes"],
        ["labels=list", "label_images=pictures"],
        ["network=classic", "finetune_epochs=1", *CAPTIONS],
        ["network=classic", "weights=kept.npz", *CAPTIONS],
        ["size=32", "alpha=2", "order=8", *CAPTIONS],
    ],
)
def test_settings_at_the_edge_are_taken(overrides):
    assert isinstance(read_settings(None, overrides), Settings)


def test_every_recipe_of_the_project_can_be_read():
    settings = {
        path.stem: read_settings(path)
        for path in Path(models.__file__).parent.rglob("recipes/**/*.toml")
    }
    assert (
        settings["attended"].pooling == "attention"
        and settings["order_3"].order == 3
        and not settings["order_3"].text
    )
    assert settings["classic"].network == "classic" and settings["everyday"].captions.endswith(
        "Flickr8k.token.txt"
    )
    true_pairs = settings["everyday_true_pairs"]
    assert true_pairs.label_captions.endswith("captions_train.token.txt")
    assert true_pairs.named_words == "imagenet" and true_pairs.transfer_filter == "labels"
    assert true_pairs.label_dev_captions.endswith("captions_sources.tsv")


OLD = """
each = 2
tune_epochs = 1
tune_from = 3
tune_batch = 4
tune_learning_rate = 0.25
tunings = 5
tune_share = 0.5
reward_epochs = 6
reward_share = 0.75
reward_learning_rate = 0.125
reward_samples = 7
evidence = 8
"""
RENAMED = {
    "captions_per_image": 2,
    "finetune_epochs": 1,
    "finetune_from": 3,
    "finetune_batch": 4,
    "finetune_learning_rate": 0.25,
    "finetune_runs": 5,
    "finetune_share": 0.5,
    "scst_epochs": 6,
    "scst_share": 0.75,
    "scst_learning_rate": 0.125,
    "scst_samples": 7,
    "tag_weight": 8.0,
}


def test_old_names_in_a_recipe_mean_the_new_ones_and_warn(recipe, caplog):
    recipe.write_text(recipe.read_text() + 'dev = "dev.txt"\n' + OLD)
    assert read_settings(recipe) == Settings(
        captions="told.txt", images="pictures", dev="dev.txt", epochs=5, **RENAMED
    )
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == len(RENAMED)
    assert messages[0] == f"{recipe}: the setting each is called captions_per_image now"


def test_a_recipe_overrides_its_base_by_either_name(recipe, tmp_path):
    recipe.write_text(recipe.read_text() + 'dev = "dev.txt"\neach = 2\nscst_epochs = 4\n')
    derived = tmp_path / "derived.toml"
    derived.write_text('base = "recipe.toml"\ncaptions_per_image = 6\nreward_epochs = 7\n')
    settings = read_settings(derived)
    assert (settings.captions_per_image, settings.scst_epochs) == (6, 7)


def test_old_names_in_an_override_mean_the_new_ones_and_warn(caplog):
    settings = read_settings(None, [*CAPTIONS, "tune_epochs=3", "evidence=0.5"])
    assert (settings.finetune_epochs, settings.tag_weight) == (3, 0.5)
    labels = ["labels=l", "label_images=i", "text=t"]
    assert read_settings(None, [*CAPTIONS, *labels, "text_share=0.5"]).transfer_share == 0.5
    network = ["network=./mine", "pixels=0..1"]
    assert read_settings(None, [*CAPTIONS, *network, "names=n"]).class_names == "n"
    assert [record.getMessage() for record in caplog.records] == [
        "--set: the setting tune_epochs is called finetune_epochs now",
        "--set: the setting evidence is called tag_weight now",
        "--set: the setting text_share is called transfer_share now",
        "--set: the setting names is called class_names now",
    ]


def test_the_old_name_of_stretching_works_and_warns(recipe, caplog):
    assert read_settings(recipe, ["resize=squash"]).resize == "stretch"
    recipe.write_text(recipe.read_text() + 'resize = "squash"\n')
    assert read_settings(recipe).resize == "stretch"
    assert [record.getMessage() for record in caplog.records] == [
        '--set: resize = "squash" is "stretch" now',
        f'{recipe}: resize = "squash" is "stretch" now',
    ]


def test_what_is_called_by_its_new_name_does_not_warn(recipe, caplog):
    read_settings(recipe, ["captions_per_image=2", "resize=stretch", "finetune_epochs=3"])
    assert not caplog.records


def test_saved_settings_are_read_by_old_and_new_names(tmp_path):
    path = tmp_path / "settings.json"
    settings = Settings(captions="told.txt", images="pictures", captions_per_image=2)
    values = dataclasses.asdict(settings)
    path.write_text(json.dumps(values))
    assert read_saved_settings(path) == settings
    old = {"each": values.pop("captions_per_image"), "resize": "squash"}
    path.write_text(json.dumps(values | old))
    assert read_saved_settings(path) == settings


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"colour": 1}', "1", "[" * 100_000, "9" * 5000]
)
def test_saved_settings_of_another_version_are_none(tmp_path, content):
    path = tmp_path / "settings.json"
    path.write_text(content)
    assert read_saved_settings(path) is None


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"name_labels": "x.tsv"}, "set both name_labels and name_images"),
        ({"name_images": "x"}, "set both name_labels and name_images"),
        ({"name_labels": "x.tsv", "name_images": "x"}, "set weights to an .npz"),
    ],
)
def test_names_need_photographs_and_a_classifier(changes, message):
    with pytest.raises(PicaptionError, match=message):
        check(Settings(labels="l.tsv", label_images="i", **changes))


def test_a_number_beyond_all_is_one_line(tmp_path):
    (tmp_path / "recipe.toml").write_text(f"learning_rate = {'9' * 400}\n")
    with pytest.raises(PicaptionError, match="the setting learning_rate is beyond all numbers"):
        read_settings(tmp_path / "recipe.toml")
