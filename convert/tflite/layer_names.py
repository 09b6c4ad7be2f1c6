"""What the layers of a converted graph are called, as near as its tensors' names and the converter's messages tell it."""

import re

#: An operator that the converter cannot write, and the place that it came from.
REFUSED = re.compile(r"error: loc\((.*?)\): '\w+\.(\w+)' op")


def layer_name(tensor):
    """Return the name of the layer that the tensor of this name came from."""
    *scopes, operator = tensor.partition(";")[0].split("/")
    # The converter sees a layer in a later scope of its name, which has a number behind it.
    return re.sub(r"_\d+$", "", scopes[-1]) if scopes else operator


def beyond(message):
    """Return the line that says what of a ConverterError's `message` keeps a model from being converted."""
    refused = {
        f"{operator} (in layer {layer_name(tensor)})"
        for place, operator in REFUSED.findall(message)
        for tensor in re.findall(r'"([^"@]*)@', place)[:1]
    }
    if not refused:
        return f"TensorFlow cannot convert this model: {message.partition(chr(10))[0][:300]}"
    return (
        f"TFLite has no operator for {', '.join(sorted(refused))}: build the model without it, or from operators that "
        "TFLite has"
    )
