"""What the stages of a training run share, before any has filled it in."""

from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.models.settings import Settings
from picaption.models.training.training_run import CaptionWords, TrainingRun


def test_a_new_run_has_settings_and_folders_alone(tmp_path):
    run = TrainingRun(Settings(name="tiny"), tmp_path / "data", tmp_path / "run")
    assert run.external is None and run.words is None and run.classes == ()
    assert run.train is None and run.dev is None
    assert run.vocabulary is None


def test_the_vocabulary_is_that_of_the_captions(tmp_path):
    vocabulary = Vocabulary((*SPECIAL_WORDS, "cat"))
    run = TrainingRun(Settings(), tmp_path, tmp_path)
    run.words = CaptionWords(vocabulary, tags=("cat",), prompts=())
    assert run.vocabulary is vocabulary
