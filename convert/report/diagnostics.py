"""The problems of a conversion and their fixes: a rule for each symptom in its figures."""

from collections.abc import Iterator
from operator import attrgetter

from .figures import Advice, Report
from .layer_snr import LayerFigures

#: Decibels of a layer's output below which little of it is left: the error has more than a tenth
#: of the power.
LOW_DECIBELS = 10.0
#: Share of a signature's multiply-adds outside XNNPACK that is worth a word.
MAX_OUTSIDE_SHARE = 0.05
#: Share of images with another likeliest class that is.
MAX_OTHER_CLASS_SHARE = 0.1
#: How many per cent a score may fall.
MAX_FALL = 1.0
#: Scores of picaption.models.evaluation.evaluate that are worse when they are lower.
SCORES = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "mAP", "top_1")
#: The fewest images that give ranges, and that are compared on, without a word.
ENOUGH_REPRESENTATIVE = 100
ENOUGH_HELD_OUT = 20
#: The fewest images whose captions are judged together, and the share of them that may have the
#: same captions as others, of captions that break off or repeat themselves, in per cent.
ENOUGH_CAPTIONS = 8
MIN_DISTINCT_SHARE = 0.1
MAX_ODD_CAPTIONS = 50.0
#: CIDEr below which captions have next to nothing in common with human ones.
LOW_CIDER = 5.0
#: Operators in floating point that are named.
MAX_NAMED_OPERATORS = 5
#: What helps where 8 bits lose too much.
MIXED_FIX = "use --mixed, which finds the layers that do it and keeps just those in floating point"
#: Precisions in which activations are whole numbers.
INTEGER_ACTIVATIONS = ("int8", "int16")


def diagnose(report: Report) -> list[Advice]:
    """Return the problems of a conversion, with their fixes; an empty list if there are none."""
    rules = (
        not_written,
        per_tensor_scales,
        few_images,
        low_snr,
        float_layers,
        lower_quality,
        useless_captions,
        outside_xnnpack,
        float_operators,
    )
    return [advice for rule in rules for advice in rule(report)]


def not_written(report: Report) -> Iterator[Advice]:
    """Advise on a bundle that was not written."""
    for name in report.beyond:
        difference = getattr(report.agreement, name)
        bound = getattr(report.bounds, name)
        field = "largest probability" if name == "largest" else name
        yield Advice(
            f"no bundle was written: its {field} differ by {difference}, more than {bound}",
            "fix the problems below, then convert again",
        )


def per_tensor_scales(report: Report) -> Iterator[Advice]:
    """Advise on weights with one scale a tensor."""
    if report.weights == "a scale a tensor":
        yield Advice(
            "the weights of a layer share one scale",
            "convert without --per-tensor, since a channel of small weights loses most of its "
            "bits to one of large weights; or train the weights for it with --max-loss",
        )


def few_images(report: Report) -> Iterator[Advice]:
    """Advise on too few images for ranges, or to compare on."""
    representative = report.representative
    if report.precision in INTEGER_ACTIVATIONS and representative.images < ENOUGH_REPRESENTATIVE:
        yield Advice(
            f"only {representative.images} representative pictures gave the ranges of activations",
            "give 200 or more pictures like those that the device will see",
        )
    if representative.held_out < ENOUGH_HELD_OUT:
        yield Advice(
            f"only {representative.held_out} pictures were held out for the comparison, so its "
            "percentages are coarse",
            "give more pictures with --representative, or --captions or --labels",
        )


def low_snr(report: Report) -> Iterator[Advice]:
    """Advise on layers that quantization left little of."""
    layers = [layer for layer in report.layers if layer.decibels < LOW_DECIBELS]
    if not layers:
        return
    worst = min(layers, key=attrgetter("decibels"))
    most_lost = max(layers, key=attrgetter("lost"))
    fix = (
        "give more representative pictures, in all the light that the device will see; try "
        "--precision int16: if that helps, bound that layer's output (ReLU6 instead of an open "
        "activation) and train again; if not, the weights are the cause: use --precision float16"
    )
    if can_be_mixed(report):
        fix = f"{MIXED_FIX}; {fix}"
    yield Advice(
        f"{len(layers)} layers have less than {LOW_DECIBELS:.0f} dB, the worst "
        f"{describe_layer(worst)} {worst.decibels}; among them, {describe_layer(most_lost)} lost "
        f"the most by itself, {most_lost.lost} dB",
        fix,
    )


def can_be_mixed(report: Report) -> bool:
    """Return whether layers in floating point are still to be tried."""
    return report.precision == "int8" and report.mixed is None


def float_layers(report: Report) -> Iterator[Advice]:
    """Advise on a bundle that loses too much even with layers in floating point."""
    if report.mixed is None:
        return
    outcome = report.mixed.outcome
    if outcome.lost_mixed > outcome.bound:
        yield Advice(
            f"with {outcome.operators} of {outcome.all_operators} operators in floating point it "
            f"still loses {outcome.lost_mixed:g} points, more than {outcome.bound:g}",
            "give more representative pictures, or measure on more: in a small set, one picture "
            "is a point",
        )


def lower_quality(report: Report) -> Iterator[Advice]:
    """Advise on images with another likeliest class, and on scores that fell."""
    fix = (
        "look at the worst layers; try --precision int16: if it helps, the ranges of activations "
        "are the cause, otherwise the weights are"
    )
    if can_be_mixed(report):
        fix = f"{MIXED_FIX}; or {fix}"
    share = 1 - report.agreement.top
    if share > MAX_OTHER_CLASS_SHARE:
        yield Advice(f"the likeliest class is another in {share:.0%} of the held-out pictures", fix)
    if report.evaluation is None:
        return
    before = report.evaluation.float32
    after = report.evaluation.bundle
    for name in SCORES:
        if name in before and before[name] - after[name] > MAX_FALL:
            yield Advice(f"{name} fell from {before[name]} to {after[name]}", fix)


def useless_captions(report: Report) -> Iterator[Advice]:
    """Advise on a captioner that was not worth converting."""
    fix = (
        "the conversion is not the cause: train the captioner longer, on more captions, or on "
        "pictures more like these"
    )
    captions = report.captions
    if captions is not None and captions.images >= ENOUGH_CAPTIONS:
        if captions.distinct <= max(1, MIN_DISTINCT_SHARE * captions.images):
            yield Advice(
                f"{captions.images} held-out pictures get {captions.distinct} different captions",
                fix,
            )
        if captions.unfinished > MAX_ODD_CAPTIONS:
            yield Advice(
                f"{captions.unfinished:.0f} % of captions end in an article, a preposition or a "
                "conjunction",
                fix,
            )
        if captions.repeating > MAX_ODD_CAPTIONS:
            yield Advice(f"{captions.repeating:.0f} % of captions repeat a pair of words", fix)
    if report.evaluation is not None:
        cider = report.evaluation.float32.get("CIDEr")
        if cider is not None and cider < LOW_CIDER:
            yield Advice(
                f"the float model's CIDEr is {cider}: its captions have next to nothing in common "
                "with human ones",
                fix,
            )


def outside_xnnpack(report: Report) -> Iterator[Advice]:
    """Advise on work that XNNPACK does not do."""
    fix = "use --precision int8, or build the model from operators that XNNPACK has"
    if report.precision == "int16":
        fix = "XNNPACK has no 16-bit kernels: if time matters, use --precision int8"
    for signature, total in report.multiply_adds.items():
        outside = [
            operator for operator in report.outside_xnnpack if operator.signature == signature
        ]
        share = sum(operator.multiply_adds for operator in outside) / max(total, 1)
        if share > MAX_OUTSIDE_SHARE:
            opcodes = sorted({operator.opcode for operator in outside if operator.multiply_adds})
            yield Advice(
                f"{share:.0%} of {signature}'s multiply-adds run outside XNNPACK "
                f"({', '.join(opcodes)}), several times slower",
                fix,
            )


def float_operators(report: Report) -> Iterator[Advice]:
    """Advise on operators that stayed in floating point beside others of whole numbers."""
    operators = report.float_operators
    if operators and report.precision in INTEGER_ACTIVATIONS and report.mixed is None:
        layers = ", ".join(
            f"{operator.layer} ({operator.opcode})" for operator in operators[:MAX_NAMED_OPERATORS]
        )
        yield Advice(
            f"{len(operators)} operators stayed in floating point: {layers}",
            "TFLite has no integer kernel for them: if their time matters, build the model "
            "without them",
        )


def describe_layer(layer: LayerFigures) -> str:
    """Return a layer's name, operator and signature as text."""
    return f"{layer.name} ({layer.opcode} of {layer.signature})"
