"""Self-critical training: sampled captions are made more or less likely by how well they are told.

Rennie et al., "Self-critical Sequence Training for Image Captioning", CVPR 2017, with the reward of picaption.models.training.rewards.Reward.
A caption's baseline is the mean reward of the same picture's other samples. Captions that people told are learned beside
the sampled ones, by cross-entropy, so that the model does not forget how people speak.
"""

import logging

import keras
import numpy as np
from tqdm import tqdm

from picaption.device.bundle.vocabulary import END_ID, START_ID, UNKNOWN_ID

from ..data.batches import windows
from . import fit
from .rewards import Reward

log = logging.getLogger("picaption")

#: How many of a picture's human captions are learned beside the sampled ones, and the weight of their words.
TOLD, TOLD_WEIGHT = 2, 0.2


def draw(captioner, contexts, order, longest, random=None):
    """Return a caption for each row of `contexts`, float32 [N, H]: lists of word numbers without the end.

    Words are sampled from the model's distribution with `random`, or the likeliest is taken without.
    """
    count = len(contexts)
    history = np.full((count, order - 1), START_ID, np.int32)
    words, open_rows = [[] for _ in range(count)], np.arange(count)
    for _ in range(longest):
        logits = np.array(
            keras.ops.convert_to_numpy(
                captioner.next_word([history[open_rows], contexts[open_rows]])
            )
        )
        logits[:, (START_ID, UNKNOWN_ID)] = -np.inf
        if random is not None:
            logits += random.gumbel(size=logits.shape).astype(np.float32)
        chosen = logits.argmax(1)
        history[open_rows] = np.concatenate([history[open_rows, 1:], chosen[:, None]], 1)
        for row, number in zip(open_rows, chosen):
            if number != END_ID:
                words[row].append(int(number))
        open_rows = open_rows[chosen != END_ID]
        if not len(open_rows):
            break
    return words


def train_on_reward(captioner, settings, train, dev, function_words, folder):
    """Train `captioner` on cached features (picaption.models.data.batches.Examples) and leave it at its best dev reward.

    function_words: as picaption.models.training.rewards.Meteor has them. Keeps its weights and figures in `folder` after every epoch and
    goes on from there.
    """
    folder.mkdir(exist_ok=True)
    joint = fit.joint_model(captioner)
    model = keras.Model(joint.input, {"words": joint.output["words"]})
    model.compile(
        keras.optimizers.Adam(settings.reward_learning_rate, clipnorm=1.0),
        loss={"words": fit.smoothed_cross_entropy(0.0)},
        jit_compile=False,
    )
    reward, reward_dev = (Reward(split.captions, function_words) for split in (train, dev))
    # A picture without captions has nothing to hold others against.
    told = np.flatnonzero([bool(captions) for captions in train.captions])
    state, best_path = folder / "last.weights.h5", folder / "best.weights.h5"
    scores = (
        [float(line) for line in (folder / "dev.txt").read_text().split()]
        if (folder / "dev.txt").exists()
        else []
    )
    if scores:
        model.optimizer.build(model.trainable_variables)  # Or its moments would not be read.
        model.load_weights(state)
    else:
        scores.append(dev_reward(captioner, settings, dev, reward_dev))
        model.save_weights(best_path)
        log.info("self-critical training starts at dev reward %.3f", scores[0])
    for epoch in range(len(scores), settings.reward_epochs + 1):
        random, total = np.random.default_rng([settings.seed, epoch]), 0.0
        parts = np.array_split(random.permutation(told), max(1, len(told) // settings.batch))
        # A straight line to nearly nothing.
        model.optimizer.learning_rate = settings.reward_learning_rate * (
            1 - (epoch - 1) / settings.reward_epochs
        )
        for rows in tqdm(parts, f"reward {epoch}/{settings.reward_epochs}", disable=None):
            batch, weights, mean = rewarded_batch(captioner, settings, train, rows, reward, random)
            model.train_on_batch(batch[0], {"words": batch[1]}, sample_weight={"words": weights})
            total += mean / len(parts)
        scores.append(dev_reward(captioner, settings, dev, reward_dev))
        log.info("reward epoch %d: sampled %.3f, dev reward %.3f", epoch, total, scores[-1])
        if scores[-1] == max(scores):
            model.save_weights(best_path)
        model.save_weights(state)
        (folder / "dev.txt").write_text("".join(f"{score:.6f}\n" for score in scores))
    model.load_weights(best_path)


def rewarded_batch(captioner, settings, train, rows, reward, random):
    """Return ((inputs, words), weights, mean reward) of captions drawn and captions told for the pictures `rows`.

    A drawn word's weight is its caption's advantage: the reward minus the mean of the picture's other samples.
    """
    samples = settings.reward_samples
    features = train.inputs[rows]
    contexts = keras.ops.convert_to_numpy(captioner.context(features))
    owners = np.repeat(np.arange(len(rows)), samples)
    drawn = draw(captioner, contexts[owners], settings.order, settings.max_words, random)
    rewards = np.array([reward.score(rows[owner], words) for owner, words in zip(owners, drawn)])
    each = rewards.reshape(-1, samples)
    advantages = ((each - each.mean(1, keepdims=True)) * samples / (samples - 1)).ravel()
    told = [
        (owner, train.captions[row][caption])
        for owner, row in enumerate(rows)
        for caption in random.permutation(len(train.captions[row]))[:TOLD]
    ]
    captions = [
        *zip(owners, drawn, advantages),
        *((owner, words, TOLD_WEIGHT) for owner, words in told),
    ]
    histories, following = zip(*(windows(words, settings.order) for _, words, _ in captions))
    lengths = [len(words) for words in following]
    owners, _, weights = zip(*captions)
    inputs = {
        "image": features,
        "history": np.concatenate(histories),
        "row": np.repeat(np.array(owners, np.int32), lengths),
    }
    return (
        (inputs, np.concatenate(following)),
        np.repeat(np.array(weights, np.float32), lengths),
        float(rewards.mean()),
    )


def dev_reward(captioner, settings, dev, reward):
    """Return the mean reward of the likeliest captions, word by word, for the dev pictures."""
    contexts = keras.ops.convert_to_numpy(captioner.context(dev.inputs))
    drawn = draw(captioner, contexts, settings.order, settings.max_words)
    return float(np.mean([reward.score(row, words) for row, words in enumerate(drawn)]))
