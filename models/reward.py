"""Self-critical training: sampled captions are made more or less likely by how well they are told.

Rennie et al., "Self-critical Sequence Training for Image Captioning", CVPR 2017. The reward is CIDEr-D
(Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation", CVPR 2015). A caption's baseline is
the mean reward of the same picture's other samples. The sentence end counts as a word: a reward blind to it
teaches captions that trail off.
"""

import logging
import math
from collections import Counter

import keras
import numpy as np
from tqdm import tqdm

from device.vocabulary import END, START, UNKNOWN
from models import fit
from models.batches import windows

log = logging.getLogger("picaption")

SIGMA = 6.0  # Of the length penalty, as in the paper.
LONGEST = 4


def grams(words):
    """Return the n-grams of `words`, lengths 1 to 4, with their counts: a Counter of tuples."""
    return Counter(tuple(words[start:start + n]) for n in range(1, LONGEST + 1) for start in range(len(words) - n + 1))


class CiderD:
    """CIDEr-D against the captions of a data set, as a number that is 10 for a perfect match.

    captions: for each picture a list of captions, each a list of words (or their numbers). An n-gram's
    weight is log(pictures / pictures with it in a caption).
    """

    def __init__(self, captions):
        told = [[list(caption) + [END] for caption in each] for each in captions]
        self.frequency = Counter(gram for each in told for gram in set().union(*(grams(caption) for caption in each)))
        self.log_pictures = math.log(max(2, len(told)))
        self.references = [[(self._vector(caption), len(caption)) for caption in each] for each in told]

    def _vector(self, words):
        """Return (tf-idf by n-gram, its norm for each n)."""
        weights = {gram: count * (self.log_pictures - math.log(max(1, self.frequency[gram])))
                   for gram, count in grams(words).items()}
        norms = [0.0] * (LONGEST + 1)
        for gram, weight in weights.items():
            norms[len(gram)] += weight * weight
        return weights, [math.sqrt(norm) for norm in norms]

    def score(self, picture, words):
        """Return CIDEr-D of a caption's `words` (without end) against those of picture number `picture`."""
        words = list(words) + [END]
        weights, norms = self._vector(words)
        total = 0.0
        for (reference, reference_norms), length in self.references[picture]:
            products = [0.0] * (LONGEST + 1)
            for gram, weight in weights.items():
                other = reference.get(gram)
                if other:
                    products[len(gram)] += min(weight, other) * other
            penalty = math.exp(-(len(words) - length) ** 2 / (2 * SIGMA ** 2))
            total += penalty * sum(product / (norm * other) for product, norm, other
                                   in zip(products, norms, reference_norms) if product)
        return 10 * total / (LONGEST * len(self.references[picture]))


def draw(captioner, contexts, order, longest, random=None):
    """Return a caption for each row of `contexts`, float32 [N, H]: lists of word numbers without the end.

    Words are sampled from the model's distribution with `random`, or the likeliest is taken without.
    """
    count = len(contexts)
    history = np.full((count, order - 1), START, np.int32)
    words, open_rows = [[] for _ in range(count)], np.arange(count)
    for _ in range(longest):
        logits = np.array(keras.ops.convert_to_numpy(captioner.next_word([history[open_rows], contexts[open_rows]])))
        logits[:, (START, UNKNOWN)] = -np.inf
        if random is not None:
            logits += random.gumbel(size=logits.shape).astype(np.float32)
        chosen = logits.argmax(1)
        history[open_rows] = np.concatenate([history[open_rows, 1:], chosen[:, None]], 1)
        for row, number in zip(open_rows, chosen):
            if number != END:
                words[row].append(int(number))
        open_rows = open_rows[chosen != END]
        if not len(open_rows):
            break
    return words


def train_on_reward(captioner, settings, train, dev, folder):
    """Train `captioner` on cached features (models.batches.Examples) and leave it at its best dev reward.

    Keeps its weights and figures in `folder` after every epoch and goes on from there.
    """
    folder.mkdir(exist_ok=True)
    joint = fit.joint_model(captioner)
    model = keras.Model(joint.input, {"words": joint.output["words"]})
    model.compile(keras.optimizers.Adam(settings.reward_learning_rate, clipnorm=1.0),
                  loss={"words": fit.smoothed_cross_entropy(0.0)}, jit_compile=False)
    cider, cider_dev = CiderD(train.captions), CiderD(dev.captions)
    # A picture without captions has nothing to hold others against.
    told = np.flatnonzero([bool(captions) for captions in train.captions])
    state, best_path = folder / "last.weights.h5", folder / "best.weights.h5"
    scores = [float(line) for line in (folder / "dev.txt").read_text().split()] if (folder / "dev.txt").exists() else []
    if scores:
        model.load_weights(state)
    else:
        scores.append(dev_reward(captioner, settings, dev, cider_dev))
        model.save_weights(best_path)
        log.info("self-critical training starts at dev CIDEr-D %.3f", scores[0])
    for epoch in range(len(scores), settings.reward_epochs + 1):
        random, total = np.random.default_rng([settings.seed, epoch]), 0.0
        parts = np.array_split(random.permutation(told), max(1, len(told) // settings.batch))
        for rows in tqdm(parts, f"reward {epoch}/{settings.reward_epochs}", disable=None):
            batch, weights, mean = rewarded_batch(captioner, settings, train, rows, cider, random)
            model.train_on_batch(batch[0], {"words": batch[1]}, sample_weight={"words": weights})
            total += mean / len(parts)
        scores.append(dev_reward(captioner, settings, dev, cider_dev))
        log.info("reward epoch %d: sampled %.3f, dev CIDEr-D %.3f", epoch, total, scores[-1])
        if scores[-1] == max(scores):
            model.save_weights(best_path)
        model.save_weights(state)
        (folder / "dev.txt").write_text("".join(f"{score:.6f}\n" for score in scores))
    model.load_weights(best_path)


def rewarded_batch(captioner, settings, train, rows, cider, random):
    """Return ((inputs, words), weights, mean reward) of captions drawn for the pictures `rows`.

    A word's weight is its caption's advantage: the reward minus the mean of the picture's other samples.
    """
    samples = settings.reward_samples
    features = train.inputs[rows]
    contexts = keras.ops.convert_to_numpy(captioner.context(features))
    owners = np.repeat(np.arange(len(rows)), samples)
    drawn = draw(captioner, contexts[owners], settings.order, settings.max_words, random)
    rewards = np.array([cider.score(rows[owner], words) for owner, words in zip(owners, drawn)])
    each = rewards.reshape(-1, samples)
    advantages = ((each - each.mean(1, keepdims=True)) * samples / (samples - 1)).ravel()
    histories, following = zip(*(windows(words, settings.order) for words in drawn))
    lengths = [len(words) for words in following]
    rows = np.repeat(owners, lengths).astype(np.int32)
    inputs = {"image": features, "history": np.concatenate(histories), "row": rows}
    return (inputs, np.concatenate(following)), np.repeat(advantages, lengths).astype(np.float32), rewards.mean()


def dev_reward(captioner, settings, dev, cider):
    """Return the mean CIDEr-D of the likeliest captions, word by word, for the dev pictures."""
    contexts = keras.ops.convert_to_numpy(captioner.context(dev.inputs))
    drawn = draw(captioner, contexts, settings.order, settings.max_words)
    return float(np.mean([cider.score(row, words) for row, words in enumerate(drawn)]))
