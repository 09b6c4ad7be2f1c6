"""Self-critical training: sampled captions become more or less likely by their reward.

Rennie et al., "Self-critical Sequence Training for Image Captioning", CVPR 2017, with the reward of
picaption.models.training.rewards.Reward. A caption's baseline is the mean reward of the other
samples of its image. Human captions are learned beside the sampled ones, by cross-entropy, so that
the model does not forget how people speak.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from picaption.device.bundle.vocabulary import END_ID, START_ID, UNKNOWN_ID

from ..data.batches import Examples, windows
from ..data.synthetic_images import MixedImages
from ..files import write_lines
from ..networks.captioner import Captioner
from ..run_folder import save_weights
from ..settings import Settings
from . import fit
from .rewards import CaptionMetric, Reward

logger = logging.getLogger(__name__)

#: How many human captions of an image are learned beside the sampled ones.
HUMAN_CAPTIONS = 2
#: The weight of their words; a sampled word's weight is its caption's advantage.
HUMAN_WEIGHT = 0.2


@dataclass(frozen=True)
class RewardedBatch:
    """The words of sampled and human captions with their weights.

    inputs: of picaption.models.training.fit.joint_model, for W words
    words: int32 [W], the word after each history
    weights: float32 [W]
    mean_reward: of the sampled captions
    """

    inputs: dict[str, np.ndarray]
    words: np.ndarray
    weights: np.ndarray
    mean_reward: float


def sample_captions(
    captioner: Captioner,
    contexts: np.ndarray,
    order: int,
    max_words: int,
    random: np.random.Generator | None = None,
) -> list[list[int]]:
    """Return a caption for each context.

    Args:
        captioner: Its `next_word` says how likely each word is.
        contexts: float32 [N, H] or, with attention, [N, G, H].
        order: Of the captioner's n-grams.
        max_words: The most words of a caption.
        random: Samples from the captioner's distribution; None takes the likeliest word each time.

    Returns:
        Lists of word ids without the sentence end.
    """
    count = len(contexts)
    history = np.full((count, order - 1), START_ID, np.int32)
    captions: list[list[int]] = [[] for _ in range(count)]
    unfinished = np.arange(count)
    for _ in range(max_words):
        logits = captioner.next_word.predict_on_batch([history[unfinished], contexts[unfinished]])
        logits[:, (START_ID, UNKNOWN_ID)] = -np.inf
        words = logits.argmax(1) if random is None else _sample_words(logits, random)
        history[unfinished] = np.concatenate([history[unfinished, 1:], words[:, None]], 1)
        for row, word in zip(unfinished, words):
            if word != END_ID:
                captions[row].append(int(word))
        unfinished = unfinished[words != END_ID]
        if not len(unfinished):
            break
    return captions


def _sample_words(logits: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a word for each row of logits [N, V] by its softmax, int [N]."""
    sums = np.exp(logits - logits.max(1, keepdims=True)).cumsum(1)
    # Above 0, or a word of probability 0 might be the first to reach it.
    reached = sums[:, -1] * (1 - random.random(len(logits), np.float32))
    return (sums >= reached[:, None]).argmax(1)


def train_self_critical(
    captioner: Captioner,
    settings: Settings,
    train: MixedImages,
    dev: Examples,
    function_words: Collection[int],
    folder: Path,
    more_terms: Sequence[tuple[float, CaptionMetric]] = (),
) -> None:
    """Train `captioner` on its reward and leave it as it was at its best dev reward.

    Every epoch leaves the weights (last.weights.h5, best.weights.h5) and the dev rewards (dev.txt)
    in `folder`; training that was interrupted continues from there.

    Args:
        captioner: Trained by cross-entropy already.
        settings: Those named scst_*, synthetic_per_image, order, batch, max_words and seed count.
        train: Training images; those without captions are left out.
        dev: Dev images as cached features.
        function_words: As for picaption.models.training.rewards.Meteor.
        folder: Made if need be.
        more_terms: As for picaption.models.training.rewards.Reward, of the training images.
    """
    folder.mkdir(exist_ok=True)
    joint = fit.joint_model(captioner)
    model = keras.Model(joint.input, {"words": joint.output["words"]})
    model.compile(
        keras.optimizers.Adam(settings.scst_learning_rate, clipnorm=1.0),
        loss={"words": fit.smoothed_cross_entropy(0.0)},
        jit_compile=False,
    )
    reward = Reward(train.captions, function_words, more_terms)
    dev_reward = Reward(dev.captions, function_words)
    last_path = folder / "last.weights.h5"
    best_path = folder / "best.weights.h5"
    dev_path = folder / "dev.txt"
    dev_rewards = []
    if dev_path.exists():
        dev_rewards = [float(line) for line in dev_path.read_text().split()]
    if dev_rewards:
        # An optimizer that is not built yet would not read its moments.
        model.optimizer.build(model.trainable_variables)
        model.load_weights(last_path)
    else:
        dev_rewards.append(greedy_reward(captioner, settings, dev, dev_reward))
        save_weights(model, best_path)
        logger.info("self-critical training starts at dev reward %.3f", dev_rewards[0])
    for epoch in range(len(dev_rewards), settings.scst_epochs + 1):
        sampled = _train_epoch(model, captioner, settings, train, reward, epoch)
        dev_rewards.append(greedy_reward(captioner, settings, dev, dev_reward))
        logger.info(
            "reward epoch %d: sampled %.3f, dev reward %.3f", epoch, sampled, dev_rewards[-1]
        )
        if dev_rewards[-1] == max(dev_rewards):
            save_weights(model, best_path)
        save_weights(model, last_path)
        write_lines(dev_path, [f"{mean:.6f}" for mean in dev_rewards])
    model.load_weights(best_path)


def _train_epoch(
    model: keras.Model,
    captioner: Captioner,
    settings: Settings,
    train: MixedImages,
    reward: Reward,
    epoch: int,
) -> float:
    """Train through the training images once and return the mean reward of the samples."""
    random = np.random.default_rng([settings.seed, epoch])
    # An image without captions has nothing to compare a sample with.
    drawn = train.draw_rows(settings.synthetic_per_image, random)
    parts = np.array_split(drawn, max(1, len(drawn) // settings.batch))
    # The learning rate falls in a straight line to nearly nothing.
    model.optimizer.learning_rate = settings.scst_learning_rate * (
        1 - (epoch - 1) / settings.scst_epochs
    )
    total = 0.0
    for rows in tqdm(parts, f"reward {epoch}/{settings.scst_epochs}", disable=None):
        batch = rewarded_batch(captioner, settings, train, rows, reward, random)
        model.train_on_batch(
            batch.inputs, {"words": batch.words}, sample_weight={"words": batch.weights}
        )
        total += batch.mean_reward / len(parts)
    return total


def rewarded_batch(
    captioner: Captioner,
    settings: Settings,
    train: MixedImages,
    rows: np.ndarray,
    reward: Reward,
    random: np.random.Generator,
) -> RewardedBatch:
    """Sample captions for some images and weigh their words by the captions' advantages.

    A caption's advantage is its reward less the mean reward of the other samples of its image. The
    human captions come behind the sampled ones.

    Args:
        captioner: Samples the captions.
        settings: scst_samples, order and max_words count.
        train: Images to learn from.
        rows: int [B], the images of the batch among those of `train`.
        reward: Of the captions of `train`.
        random: For synthetic features, the samples and the choice of human captions.
    """
    samples = settings.scst_samples
    features = train.draw_inputs(rows, random)
    contexts = keras.ops.convert_to_numpy(captioner.context(features))
    owners = np.repeat(np.arange(len(rows)), samples)
    sampled = sample_captions(
        captioner, contexts[owners], settings.order, settings.max_words, random
    )
    rewards = np.array([reward.score(rows[owner], words) for owner, words in zip(owners, sampled)])
    by_image = rewards.reshape(-1, samples)
    baseline = by_image.mean(1, keepdims=True)
    # With the factor, the baseline is the mean of the other samples.
    advantages = ((by_image - baseline) * samples / (samples - 1)).ravel()

    captions: list[tuple[int, list[int], float]] = list(zip(owners, sampled, advantages))
    for owner, row in enumerate(rows):
        human = train.captions[row]
        for index in random.permutation(len(human))[:HUMAN_CAPTIONS]:
            captions.append((owner, human[index], HUMAN_WEIGHT))
    ngrams = [windows(words, settings.order) for _, words, _ in captions]
    lengths = [len(following) for _, following in ngrams]
    owners = np.array([owner for owner, _, _ in captions], np.int32)
    weights = np.array([weight for _, _, weight in captions], np.float32)
    return RewardedBatch(
        inputs={
            "image": features,
            "history": np.concatenate([history for history, _ in ngrams]),
            "row": np.repeat(owners, lengths),
        },
        words=np.concatenate([following for _, following in ngrams]),
        weights=np.repeat(weights, lengths),
        mean_reward=float(rewards.mean()),
    )


def greedy_reward(captioner: Captioner, settings: Settings, dev: Examples, reward: Reward) -> float:
    """Return the mean reward of the dev images' captions of the likeliest word each time."""
    contexts = keras.ops.convert_to_numpy(captioner.context(dev.inputs))
    captions = sample_captions(captioner, contexts, settings.order, settings.max_words)
    return float(np.mean([reward.score(row, words) for row, words in enumerate(captions)]))
