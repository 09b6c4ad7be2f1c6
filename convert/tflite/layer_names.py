"""The names of a converted graph's layers, from its tensors and the converter's messages."""

import re

#: An operator that the converter cannot write, and the location that it came from.
UNSUPPORTED = re.compile(r"error: loc\((.*?)\): '\w+\.(\w+)' op")


def layer_name(tensor: str) -> str:
    """Return the name of the layer that the tensor of this name came from."""
    *scopes, operator = tensor.partition(";")[0].split("/")
    if not scopes:
        return operator
    # The converter sees a layer in a later scope of its name, which ends in a number.
    return re.sub(r"_\d+$", "", scopes[-1])


def conversion_error(message: str) -> str:
    """Return one line that says why a model cannot be converted.

    Args:
        message: Of the converter's ConverterError.
    """
    unsupported = {
        f"{operator} (in layer {layer_name(tensor)})"
        for location, operator in UNSUPPORTED.findall(message)
        for tensor in re.findall(r'"([^"@]*)@', location)[:1]
    }
    if not unsupported:
        first_line = message.partition("\n")[0]
        return f"TensorFlow cannot convert this model: {first_line[:300]}"
    return (
        f"TFLite has no operator for {', '.join(sorted(unsupported))}: build the model without it, "
        "or from operators that TFLite has"
    )
