"""`picaption train`: from captioned and labelled images to a folder that `picaption convert` takes.

A run is a list of stages. Each leaves its result in the run's folder and does not do again what is
there, so that an interrupted run continues where it stopped.
"""

import dataclasses
import json
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

import keras

from picaption.device.atomic import write_text
from picaption.device.bundle.metadata import Beam, Input, Metadata, Silence
from picaption.device.bundle.vocabulary import Vocabulary
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import probabilities

from ..data.batches import Batches, take
from ..data.dataset import (
    Split,
    add_captions_by_name,
    add_own_paraphrases,
    add_transferred_captions,
    learn_prompts,
    learn_tags,
    learn_vocabulary,
    load_data,
    load_plain_text,
    load_text,
)
from ..data.readers import Record, label_matrix
from ..data.synthetic_images import (
    MIN_CAPTIONS_OF_IMAGE,
    MixedImages,
    SyntheticImages,
    fit_text_features,
    well_captioned,
)
from ..data.tokenizer import STOP_WORDS
from ..evaluation.object_hallucination import (
    LabelPhrases,
    caption_phrases,
    named_objects,
    object_phrases,
)
from ..files import read_lines, write_lines
from ..language import ngram
from ..language.arpa import write_arpa
from ..networks.captioner import Captioner
from ..run_folder import (
    PARTS,
    FloatModel,
    load_captioner,
    load_model,
    save_captioner,
    save_classifier,
    save_model,
    save_words,
)
from ..settings import NETWORKS, Settings, read_saved_settings
from . import fit
from .captioner import (
    caption_examples,
    labels_are_captioned,
    train_captioner,
    train_tagger,
)
from .classifier import best_threshold, class_scores, train_classifier
from .confidence import calibrate_confidence
from .encoder import (
    build_network,
    check_weights,
    compute_features,
    finetune,
    train_on_classes,
)
from .guidance import choose_guidance
from .names import fit_names
from .rewards import AbsentObjects, CaptionMetric
from .self_critical import train_self_critical
from .training_run import CaptionWords, TrainingRun

logger = logging.getLogger(__name__)


def train(settings: Settings, data_root: str | Path, folder: str | Path) -> None:
    """Train what `settings` ask for and leave the run in `folder`.

    Args:
        settings: Of a recipe (picaption.models.settings.read_settings).
        data_root: The folder that the settings' paths start from.
        folder: Made if need be; an interrupted run of the same settings in it continues, a
            finished one stays as it is.

    Raises:
        PicaptionError: Data is unusable, or `folder` holds a run of other settings.
    """
    run = TrainingRun(settings, Path(data_root), Path(folder))
    saved_settings = run.folder / "settings.json"
    if saved_settings.exists() and read_saved_settings(saved_settings) != settings:
        raise PicaptionError(
            f"{run.folder} holds a run of other settings: give another --out, or remove it to "
            "start again"
        )
    if (run.folder / "finished").exists():
        logger.info(
            "%s: finished already; make a bundle of it with: picaption convert %s",
            run.folder,
            run.folder,
        )
        return
    if settings.name_labels or not (run.folder / "encoder.keras").exists():
        check_weights(settings, run.data_root)
    if settings.network not in NETWORKS:
        from ..networks.external import load_external  # TensorFlow, which other runs do without.

        run.external = load_external(settings, data_root)
    run.folder.mkdir(parents=True, exist_ok=True)
    write_text(saved_settings, json.dumps(dataclasses.asdict(settings), indent=1) + "\n")
    keras.utils.set_random_seed(settings.seed)
    for stage in STAGES:
        stage(run)
    (run.folder / "finished").touch()
    logger.info("%s: done; make a bundle of it with: picaption convert %s", run.folder, run.folder)


def load_images(run: TrainingRun) -> None:
    """Read the images with their captions and labels."""
    run.data = load_data(run.settings, run.data_root)
    own = _count_captioned(run.data.labels)
    run.text = load_text(run.settings, run.data_root, run.data)
    phrases = LabelPhrases()
    if run.data.labels:
        phrases = object_phrases(run.data.labels.classes)
    if run.settings.text:
        names_known = partial(_names_known_objects, phrases=phrases)
        is_true = names_known if run.settings.transfer_filter else None
        path = run.folder / "borrowed.token.txt"
        run.data = add_transferred_captions(run.data, run.settings, run.text, path, is_true)
        run.data = add_own_paraphrases(run.data, run.settings, run.text, names_known)
    borrowed = _count_captioned(run.data.labels) - own
    run.labelled_captions = {"own": own, "borrowed": borrowed}
    if run.data.named:
        path = run.folder / "borrowed_by_name.token.txt"
        objects = [" ".join(phrase) for phrase in phrases]
        run.data = add_captions_by_name(run.data, run.text, objects, run.settings.seed, path)
        run.labelled_captions["borrowed by name"] = _count_captioned(run.data.named)


def _names_known_objects(caption: str, record: Record, phrases: LabelPhrases) -> bool:
    """Return whether an image is known to have every object that a caption names."""
    return named_objects(caption, phrases) <= _known_objects(record, phrases)


def _known_objects(record: Record, phrases: LabelPhrases) -> set[str]:
    """Return an image's labels and the objects that its own captions name."""
    known = set(record.labels)
    if not record.borrowed:
        for caption in record.captions:
            known |= named_objects(caption, phrases)
    return known


def _count_captioned(split: Split | None) -> int:
    """Return how many images of a Split have captions."""
    return sum(bool(record.captions) for record in split.records) if split else 0


def learn_words(run: TrainingRun) -> None:
    """Choose vocabulary, tags and prompts from the captions."""
    if run.data.captions is None:
        return
    records = run.data.captions.records
    for split in (run.data.labels, run.data.named):
        if split:
            records += split.records
    # A run that continues keeps the ids of its words.
    vocabulary_path = run.folder / "vocabulary.txt"
    if not vocabulary_path.exists():
        write_lines(vocabulary_path, learn_vocabulary(records, run.settings.min_count).words)
    vocabulary = Vocabulary(read_lines(vocabulary_path))
    tags_path = run.folder / "tags.txt"
    if not tags_path.exists():
        write_lines(tags_path, learn_tags(records, vocabulary, run.settings.tags))
    prompts = learn_prompts(records, vocabulary, run.settings.order)
    run.words = CaptionWords(vocabulary, read_lines(tags_path), prompts)


def describe_bundle(run: TrainingRun) -> None:
    """Fill in the classes and the metadata; an external network's own classifier is saved."""
    settings = run.settings
    head = "multi-label" if settings.labels else "single-label"
    if run.data.labels:
        run.classes = run.data.labels.classes
    if settings.class_names:
        assert run.external is not None and run.external.classifier is not None
        run.classes = run.external.labels
        head = run.external.head_type
        save_classifier(run.external.classifier, run.folder / "classifier.npz")
    splits = vars(run.data).items()
    provenance = {
        "settings": dataclasses.asdict(settings),
        "pictures": {name: len(split.records) for name, split in splits if split},
    }
    if settings.label_captions or settings.named_labels:
        # Labelled images by where their captions are from.
        provenance["captions"] = run.labelled_captions
    object_words: tuple[tuple[str, ...], ...] = ()
    other_things: tuple[str, ...] = ()
    if run.words and run.classes:
        object_words, other_things = caption_phrases(run.classes, run.words.vocabulary)
    run.metadata = Metadata(
        name=settings.name,
        licence=settings.licence,
        tags=run.words.tags if run.words else (),
        prompts=run.words.prompts if run.words else (),
        object_words=object_words,
        other_things=other_things,
        order=settings.order if run.words and run.words.tags else 0,
        head=head,
        input=Input(settings.size, settings.size, settings.resize),
        beam=Beam(
            settings.beam_width,
            settings.min_words,
            settings.max_words,
            settings.length_penalty,
            settings.tag_weight,
        ),
        silence=Silence(
            settings.silent_brightness, settings.silent_contrast, settings.silent_sharpness
        ),
        provenance=provenance,
    )


def train_encoder(run: TrainingRun) -> None:
    """Build the encoder and fine-tune it on all there is to learn from."""
    path = run.folder / "encoder.keras"
    if not path.exists():
        if run.external:
            encoder = run.external.encoder
        else:
            encoder = build_network(run.settings, run.data_root)
        if run.settings.finetune_epochs and run.words:
            encoder = finetune(run, encoder)
        elif run.settings.finetune_epochs:
            train_on_classes(run, encoder)
        save_model(encoder, path)
    run.encoder = load_model(path)


def encode_images(run: TrainingRun) -> None:
    """Compute the features of all images once; what follows learns from them."""
    run.features = compute_features(run.encoder, run.data, run.folder)
    if run.words:
        run.train, run.dev = caption_examples(run.settings, run.data, run.features, run.words)


def synthesize_images(run: TrainingRun) -> None:
    """Make images of captions without images, for the captioner to learn from."""
    settings = run.settings
    if run.words is None or run.train is None or not settings.synthetic_per_image:
        return
    vocabulary = run.words.vocabulary
    text = (*run.text, *load_plain_text(settings, run.data_root))
    records, captions = well_captioned(text, vocabulary, settings.max_words)
    if not records:
        raise PicaptionError(
            f"text, more_text and plain_text have no image with {MIN_CAPTIONS_OF_IMAGE} captions: "
            "give others, or leave out synthetic_per_image"
        )
    # What an image borrows says little of its features.
    records_at_hand = (record for split in _training_splits(run) for record in split.records)
    rows = [
        row for row, record in enumerate(records_at_hand) if record.captions and not record.borrowed
    ]
    text_features = fit_text_features(take(run.train, rows), len(vocabulary), settings.seed)
    run.synthetic = SyntheticImages(records, captions, text_features)
    logger.info("images that are known by their captions alone: %d", len(records))


def _training_splits(run: TrainingRun) -> list[Split]:
    """Return the splits that the images of run.train are of, in its order."""
    labels = run.data.labels if labels_are_captioned(run.settings) else None
    splits = (*[run.data.captions] * run.settings.captions_repeats, labels, run.data.named)
    return [split for split in splits if split]


def train_captioner_by_cross_entropy(run: TrainingRun) -> None:
    """Train the captioner by cross-entropy, from the fine-tuned one where there is one."""
    if run.words is None or run.train is None:
        return
    settings = run.settings
    # An encoder that was fine-tuned elsewhere comes without its captioner.
    start = run.folder / "tuned"
    words = len(run.words.vocabulary)
    train_captioner(
        settings,
        run.train,
        run.dev,
        words,
        settings.epochs,
        run.folder / "worded",
        start if (start / "tagger.keras").exists() else None,
        run.synthetic,
    )


def train_captioner_on_reward(run: TrainingRun) -> None:
    """Train the captioner self-critically and average it with the one before."""
    if run.words is None or run.train is None or (run.folder / "tagger.keras").exists():
        return
    settings = run.settings
    captioner = load_captioner(run.folder / "worded")
    if settings.scst_epochs:
        assert run.dev is not None
        function_words = frozenset(run.words.vocabulary.encode(STOP_WORDS))
        rewarded = run.folder / "rewarded"
        train_self_critical(
            captioner,
            settings,
            MixedImages(run.train, run.synthetic),
            run.dev,
            function_words,
            rewarded,
            _absent_objects_term(run, run.words.vocabulary),
        )
        _average_captioners(captioner, load_captioner(run.folder / "worded"), settings.scst_share)
        if settings.scst_captions_epochs:
            _train_on_reward_of_captions(run, captioner, function_words)
        train_tagger(captioner, settings, run.train)
    save_captioner(captioner, run.folder)


def _average_captioners(captioner: Captioner, start: Captioner, share: float) -> None:
    """Set a captioner to a weighted mean of its weights, `share` of them, and those of `start`."""
    for part in PARTS:
        fit.average_weights(getattr(captioner, part), getattr(start, part).get_weights(), share)


def _train_on_reward_of_captions(
    run: TrainingRun, captioner: Captioner, function_words: Collection[int]
) -> None:
    """Train a captioner on the reward of the images of `captions` alone, half way."""
    assert run.train is not None and run.dev is not None
    assert run.data.captions is not None and run.data.captions_dev is not None
    start = run.folder / "mixed"
    start.mkdir(exist_ok=True)
    save_captioner(captioner, start)
    settings = dataclasses.replace(
        run.settings,
        scst_epochs=run.settings.scst_captions_epochs,
        scst_learning_rate=run.settings.scst_learning_rate / 2,
    )
    train_self_critical(
        captioner,
        settings,
        MixedImages(take(run.train, range(len(run.data.captions.records)))),
        take(run.dev, range(len(run.data.captions_dev.records))),
        function_words,
        run.folder / "rewarded_captions",
    )
    _average_captioners(captioner, load_captioner(start), 0.5)


def _absent_objects_term(
    run: TrainingRun, vocabulary: Vocabulary
) -> list[tuple[float, CaptionMetric]]:
    """Return what the reward loses for objects that are not in the images, synthetic ones too."""
    if not run.settings.scst_absent_penalty:
        return []
    phrases = object_phrases(run.classes)
    absent = [
        absent_classes(record, split.classes, phrases)
        for split in _training_splits(run)
        for record in split.records
    ]
    if run.synthetic:
        absent += [absent_classes(record, run.classes, phrases) for record in run.synthetic.records]
    term = AbsentObjects(absent, vocabulary.words, phrases)
    return [(-run.settings.scst_absent_penalty, term)]


def absent_classes(record: Record, classes: Sequence[str], phrases: LabelPhrases) -> frozenset[str]:
    """Return the classes that are surely not in an image.

    They are none of its labels, and its own captions, if it has some, do not name them. Classes
    that nobody looked for may be there; of an image without labels nothing is known.

    Args:
        record: The image; what it borrowed says nothing of it.
        classes: Those that the images of its split are labelled with; none for no labels.
        phrases: Which words name which classes.
    """
    if not record.labels:
        return frozenset()
    return frozenset(set(classes).difference(_known_objects(record, phrases), record.unknown))


def fit_classifier(run: TrainingRun) -> None:
    """Fit the classifier to features and word evidence."""
    # The word evidence needs the metadata's prompts.
    save_words(run.folder, run.metadata, run.classes, run.vocabulary)
    train_classifier(run)


def choose_thresholds(run: TrainingRun) -> None:
    """Choose the thresholds of tags and labels that are best on the dev images."""
    if run.dev:
        captioner = load_captioner(run.folder)
        contexts = captioner.context.predict_on_batch(run.dev.inputs)
        logits = captioner.tagger.predict_on_batch(contexts)
        threshold = best_threshold(probabilities(logits, multi_label=True), run.dev.tags)
        run.metadata = dataclasses.replace(run.metadata, tag_threshold=threshold)
    labels_dev = run.data.labels_dev
    if labels_dev and run.metadata.head == "multi-label":
        assert run.features.labels_dev is not None
        model = FloatModel(run.folder) if run.words else None
        scores = class_scores(run, model, run.features.labels_dev, "labels_dev")
        truth = label_matrix(labels_dev.records, labels_dev.classes)
        threshold = best_threshold(scores, truth)
        run.metadata = dataclasses.replace(run.metadata, label_threshold=threshold)


def measure_perplexity(run: TrainingRun) -> None:
    """Note the perplexity of the dev captions in the bundle's provenance.

    It is that of the captioner trained by cross-entropy, and that of counted n-grams of the same
    order, which do not see the image and are left in the run's folder.
    """
    if run.words is None or run.train is None or run.dev is None:
        return
    order = run.metadata.order
    vocabulary = run.words.vocabulary
    captions = [caption for captions in run.train.captions for caption in captions]
    counted = ngram.kneser_ney(captions, order, len(vocabulary))
    write_arpa(run.folder / "counted.arpa", counted, vocabulary)
    captioner = load_captioner(run.folder / "worded")
    dev_batches = Batches(run.dev, order, training=False)
    dev_captions = [caption for captions in run.dev.captions for caption in captions]
    figures = {
        "captioner": round(fit.perplexity(captioner, dev_batches), 3),
        "counted": round(ngram.perplexity(counted, dev_captions), 3),
    }
    logger.info("perplexity of the dev captions: %s", figures)
    provenance = run.metadata.provenance | {"perplexity": figures}
    run.metadata = dataclasses.replace(run.metadata, provenance=provenance)


def save_metadata(run: TrainingRun) -> None:
    """Save the metadata, the classes and the vocabulary."""
    save_words(run.folder, run.metadata, run.classes, run.vocabulary)


#: The stages of a run, in order.
STAGES: tuple[Callable[[TrainingRun], None], ...] = (
    load_images,
    learn_words,
    describe_bundle,
    train_encoder,
    encode_images,
    fit_names,
    synthesize_images,
    train_captioner_by_cross_entropy,
    train_captioner_on_reward,
    fit_classifier,
    choose_thresholds,
    choose_guidance,
    calibrate_confidence,
    measure_perplexity,
    save_metadata,
)
