"""The examples that a bundle was taught by, if it keeps them: what it made of each image.

They are the member examples.bin: a header, and a column for each of the following, one behind the
other, numbers little-endian. There are N examples of F features and V words.

    magic, N, F, V      4 bytes, and three uint32
    class_ids           uint16 [N], indices of the bundle's labels
    low, step           float32 [N] each: features = low + step * feature_steps
    feature_steps       uint8 [N, F]
    evidence_steps      uint8 [N, V]: word evidence = MAX_WORD_EVIDENCE * (evidence_steps / 255)^2

That is about 2.8 kB an example, and half of it in the archive. No image can be made of them.
"""

import struct
from dataclasses import dataclass

import numpy as np

from .word_evidence import MAX_WORD_EVIDENCE

MAGIC = b"PEX1"
#: The most features of an example.
MAX_FEATURES = 1 << 16
#: No feature of an honest bundle is larger.
MAX_FEATURE = 1e6

_HEADER = struct.Struct("<4sIII")
_STEPS = 255


@dataclass(frozen=True)
class KeptExamples:
    """N examples, in 8 bits a number.

    Attributes:
        class_ids: uint16 [N].
        low: float32 [N].
        step: float32 [N].
        feature_steps: uint8 [N, F].
        evidence_steps: uint8 [N, V]; V is 0 without a captioner.
    """

    class_ids: np.ndarray
    low: np.ndarray
    step: np.ndarray
    feature_steps: np.ndarray
    evidence_steps: np.ndarray

    def __len__(self) -> int:
        return len(self.class_ids)

    def features(self) -> np.ndarray:
        """Return the features, float32 [N, F]."""
        return self.low[:, None] + self.step[:, None] * self.feature_steps

    def word_evidence(self) -> np.ndarray | None:
        """Return the word evidence, float32 [N, V]; None without a captioner."""
        if not self.evidence_steps.shape[1]:
            return None
        shares = self.evidence_steps.astype(np.float32) / np.float32(_STEPS)
        return np.float32(MAX_WORD_EVIDENCE) * shares**2

    def take(self, rows: np.ndarray) -> "KeptExamples":
        """Return the examples of these rows."""
        return KeptExamples(*(column[rows] for column in self._columns()))

    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.class_ids, self.low, self.step, self.feature_steps, self.evidence_steps


def quantize_examples(
    class_ids: np.ndarray, features: np.ndarray, word_evidence: np.ndarray | None
) -> KeptExamples:
    """Return examples in 8 bits a number.

    Args:
        class_ids: [N].
        features: float32 [N, F].
        word_evidence: float32 [N, V]; None without a captioner.
    """
    low = features.min(1).astype(np.float32)
    step = ((features.max(1) - low) / _STEPS).astype(np.float32)
    divisor = np.where(step > 0, step, 1)[:, None]
    feature_steps = np.round((features - low[:, None]) / divisor).clip(0, _STEPS)
    evidence_steps = np.zeros((len(features), 0))
    if word_evidence is not None:
        shares = (word_evidence / np.float32(MAX_WORD_EVIDENCE)).clip(0, 1)
        evidence_steps = np.round(np.sqrt(shares) * _STEPS)
    return KeptExamples(
        class_ids.astype(np.uint16),
        low,
        step,
        feature_steps.astype(np.uint8),
        evidence_steps.astype(np.uint8),
    )


def concatenate_examples(first: KeptExamples, second: KeptExamples) -> KeptExamples:
    """Return the examples of both, of the same sizes."""
    return KeptExamples(
        np.concatenate([first.class_ids, second.class_ids]),
        np.concatenate([first.low, second.low]),
        np.concatenate([first.step, second.step]),
        np.concatenate([first.feature_steps, second.feature_steps]),
        np.concatenate([first.evidence_steps, second.evidence_steps]),
    )


def examples_bytes(examples: KeptExamples) -> bytes:
    """Return examples as parse_examples reads them."""
    count, feature_count = examples.feature_steps.shape
    header = _HEADER.pack(MAGIC, count, feature_count, examples.evidence_steps.shape[1])
    columns = (
        examples.class_ids.astype("<u2"),
        examples.low.astype("<f4"),
        examples.step.astype("<f4"),
        examples.feature_steps,
        examples.evidence_steps,
    )
    return header + b"".join(column.tobytes() for column in columns)


def parse_examples(data: bytes, class_count: int, word_count: int) -> KeptExamples:
    """Read the member of examples.

    Args:
        data: its bytes.
        class_count: the bundle's labels.
        word_count: the words of its captioner; 0 without one.

    Raises:
        ValueError: It is malformed, or does not fit the bundle's words.
    """
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise ValueError("its examples have no header")
    _, count, feature_count, evidence_count = _HEADER.unpack_from(data)
    if not 1 <= feature_count <= MAX_FEATURES:
        raise ValueError(f"its examples have {feature_count} features")
    if evidence_count != word_count:
        raise ValueError(f"its examples have {evidence_count} words, the captioner {word_count}")
    if len(data) != _HEADER.size + count * (10 + feature_count + evidence_count):
        raise ValueError(f"its examples are not {count} of {feature_count} features")
    offset = _HEADER.size
    columns = []
    for dtype, shape in (
        ("<u2", (count,)),
        ("<f4", (count,)),
        ("<f4", (count,)),
        ("u1", (count, feature_count)),
        ("u1", (count, evidence_count)),
    ):
        size = int(np.prod(shape))
        columns.append(np.frombuffer(data, dtype, size, offset).reshape(shape))
        offset += columns[-1].nbytes
    examples = KeptExamples(*columns)
    if count and int(examples.class_ids.max()) >= class_count:
        raise ValueError("its examples are of classes that it has no label for")
    for column in (examples.low, examples.step):
        if not (np.abs(column) <= MAX_FEATURE).all():  # Not so for what is no number, either.
            raise ValueError("its examples have absurd features")
    if (examples.step < 0).any():
        raise ValueError("its examples have absurd features")
    return examples
