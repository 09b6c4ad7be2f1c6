"""What is off with a conversion, and what mends it: a rule for each symptom that its figures can show."""

#: Decibels of a layer's output below which little of it is left: the error has more than a tenth of the power.
WEAK = 10.0
#: Share of a signature's multiply-adds outside XNNPACK, and of captions or classes that are not the float model's, worth a word.
SLOW, DIFFERENT = 0.05, 0.1
#: How many per cent a score may fall.
FALLEN = 1.0
#: Scores of picaption.models.evaluation.evaluate that are worse when they are lower.
SCORES = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "mAP", "top_1")


def diagnose(figures):
    """Return [{"symptom": ..., "fix": ...}], both texts, for `figures` as picaption.convert.report.figures gives them; [] where nothing is off."""
    return [
        {"symptom": symptom, "fix": fix}
        for rule in (refused, ranges, few, weak, fallen, slow, floating)
        for symptom, fix in rule(figures)
    ]


def refused(figures):
    """Tell of a bundle that was not written."""
    for name in figures["beyond"]:
        yield (
            f"no bundle was written: its {name} differ by {figures['agreement'][name]}, more than {figures['bounds'][name]}",
            "mend what is said below, then convert again",
        )


def ranges(figures):
    """Tell of weights with one scale a tensor."""
    if figures["weights"] == "a scale a tensor":
        yield (
            "the weights of a layer share one scale",
            "convert without --per-tensor: a channel of small weights loses most of "
            "its bits to one of large weights; or train them to it, with --max-loss",
        )


def few(figures):
    """Tell of too few pictures to know the ranges, or to judge by."""
    given = figures["representative"]
    if figures["precision"] in ("int8", "int16") and given["pictures"] < 100:
        yield (
            f"only {given['pictures']} representative pictures gave the ranges of activations",
            "give 200 or more that are like those the device will see",
        )
    if given["held_out"] < 20:
        yield (
            f"only {given['held_out']} pictures were held out to compare on: shares of them say little",
            "give more pictures with --representative, or --captions or --labels",
        )


def weak(figures):
    """Tell of layers that quantization left little of, and of the one that lost the most by itself."""
    layers = [layer for layer in figures["layers"] if layer["decibels"] < WEAK]
    if layers:
        worst = min(layers, key=lambda layer: layer["decibels"])
        lost = max(layers, key=lambda layer: layer["lost"])
        yield (
            f"{len(layers)} layers have less than {WEAK:.0f} dB, the worst {told(worst)} {worst['decibels']}; among them, "
            f"{told(lost)} lost the most by itself, {lost['lost']} dB",
            "give more representative pictures, in all light that the device will see; try --precision int16, and where that "
            "helps, bound that layer's output (ReLU6 in place of an open activation) and train again; where it does not, "
            "the weights are to blame: use --precision float16",
        )


def fallen(figures):
    """Tell of pictures that are told otherwise, and of scores that fell."""
    agreement, fix = (
        figures["agreement"],
        (
            "look at the worst layers; try --precision int16: where it helps, the ranges of activations are "
            "to blame, else the weights"
        ),
    )
    if 1 - agreement["top"] > DIFFERENT:
        yield (
            f"the likeliest class is another in {1 - agreement['top']:.0%} of the held-out pictures",
            fix,
        )
    before, after = (figures.get("evaluation", {}).get(name, {}) for name in ("float32", "bundle"))
    for name in SCORES:
        if name in before and before[name] - after[name] > FALLEN:
            yield f"{name} fell from {before[name]} to {after[name]}", fix


def slow(figures):
    """Tell of work that XNNPACK does not do."""
    for signature, total in figures["multiply_adds"].items():
        outside = [each for each in figures["elsewhere"] if each["signature"] == signature]
        share = sum(each["multiply_adds"] for each in outside) / max(total, 1)
        if share > SLOW:
            kinds = ", ".join(sorted({each["kind"] for each in outside if each["multiply_adds"]}))
            yield (
                f"{share:.0%} of {signature}'s multiply-adds run outside XNNPACK ({kinds}), several times slower",
                "XNNPACK has no kernels of 16 bits: where time matters, use --precision int8"
                if figures["precision"] == "int16"
                else "use --precision int8, or build the model from operators that XNNPACK has",
            )


def floating(figures):
    """Tell of layers that stayed in floating point beside others of whole numbers."""
    if figures["floating"] and figures["precision"] in ("int8", "int16"):
        layers = ", ".join(f"{each['layer']} ({each['kind']})" for each in figures["floating"][:5])
        yield (
            f"{len(figures['floating'])} operators stayed in floating point: {layers}",
            "TFLite has no kernel of whole numbers for them: build the model without, where their time matters",
        )


def told(layer):
    """Return how a layer is named to people."""
    return f"{layer['name']} ({layer['kind']} of {layer['signature']})"
