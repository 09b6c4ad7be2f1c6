"""What a conversion is asked for, and the bounds that its result must keep."""

from dataclasses import dataclass

from picaption.device.errors import PicaptionError

from . import INTEGERS, RUNTIMES


@dataclass(frozen=True)
class Agreement:
    """How far a bundle is from its float model on the same images; means over images.

    Attributes:
        features: 1 - cosine; 0 where only scores are compared.
        words: Kullback-Leibler divergence of the next word's distribution, in nats a word of the
            float model's own captions; 0 without a captioner.
        classes: Absolute difference of the probabilities; 0 without a classifier.
        caption: Share of images with the very same caption.
        top: Share of images with the same likeliest class.
        largest: The largest difference of a probability on any image; 0 without a classifier.
    """

    features: float
    words: float
    classes: float
    caption: float
    top: float
    largest: float = 0.0

    def beyond(self, bounds: "Agreement") -> list[str]:
        """Return which of features, words, classes and largest are further off than in `bounds`."""
        return [
            name
            for name in ("features", "words", "classes", "largest")
            if not getattr(self, name) <= getattr(bounds, name)
        ]


#: A bundle beyond these is not written. Captions and the likeliest classes are only reported: one
#: flipped word makes another sentence.
BOUNDS = Agreement(features=0.05, words=0.08, classes=0.02, caption=0.0, top=0.0, largest=0.5)
#: How far a probability may be from the network's own where nothing is quantized: what differs more
#: computes something else. A .tflite file of 8 bits rounds its own scores.
EXACT_DIFFERENCE = 0.02


@dataclass(frozen=True)
class ConversionOptions:
    """How to quantize a model, whatever it is.

    Attributes:
        precision: One of convert.PRECISIONS.
        per_tensor: Whether weights have one scale a tensor instead of one a channel.
        runtime: One of convert.RUNTIMES, which the bundle is to run on.
        count: How many images give the ranges of activations.
        held_out: How many more images check the result; at most a fifth of all.
        seed: Draws the images.
        max_loss: How many points the bundle may lose; beyond, its encoder is trained to its
            quantization, or, if `mixed`, layers stay in floating point. None: any, or, if `mixed`,
            mixed.MAX_LOSS.
        mixed: Whether layers stay in floating point, as few as keep the bundle from losing more.
        bounds: The bundle is not written where it is further from the float model.
    """

    precision: str = "int8"
    per_tensor: bool = False
    runtime: str = RUNTIMES[0]
    count: int = 200
    held_out: int = 50
    seed: int = 1
    max_loss: float | None = None
    mixed: bool = False
    bounds: Agreement = BOUNDS

    def check(self) -> None:
        """Raise PicaptionError where options contradict each other."""
        if self.per_tensor and self.precision not in INTEGERS:
            raise PicaptionError(
                f"{self.precision} gives weights no scale: convert to int8, int16 or dynamic, or "
                "without --per-tensor"
            )
        if self.mixed and self.precision != "int8":
            raise PicaptionError(
                f"--mixed keeps layers out of 8 bits, and {self.precision} has none: leave out one "
                "of the two"
            )
        if self.max_loss is not None and self.precision != "int8":
            raise PicaptionError(
                f"--max-loss tunes to activations and weights of 8 bits, and {self.precision} has "
                "others: leave out one of the two"
            )

    @property
    def needs_loss(self) -> bool:
        """Whether what the bundle loses decides what it becomes."""
        return self.mixed or self.max_loss is not None

    @property
    def weight_scales(self) -> str:
        """What the scales of weights stand for, as text."""
        if self.precision not in INTEGERS:
            return f"{self.precision}, no scales"
        if self.per_tensor:
            return "a scale a tensor"
        if self.runtime == "tflite-runtime":
            return "a scale a channel, dense layers one a tensor"
        return "a scale a channel"


@dataclass(frozen=True)
class ImportOptions:
    """What the file of a classifier from elsewhere does not say about it.

    Attributes:
        labels: The class names; None: those inside the file.
        pixels: The range of pixels that it takes, as models.pixels.parse_pixels takes it; None: as
            the file says.
        resize: One of device.bundle.metadata.RESIZE_RULES.
        head: One of device.bundle.metadata.HEAD_TYPES, for logits; None: single-label.
        size: The side of its images, for a network of a dynamic shape.
        output_name: Which of several outputs are the scores; None: the only one.
        is_embedding: Whether it is no classifier: its output is features, to teach classes with.
        allowed_difference: How far a probability may be from its own where nothing is quantized.
    """

    labels: tuple[str, ...] | None = None
    pixels: str | None = None
    resize: str = "stretch"
    head: str | None = None
    size: int | None = None
    output_name: str | None = None
    is_embedding: bool = False
    allowed_difference: float = EXACT_DIFFERENCE
