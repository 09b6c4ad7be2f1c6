"""TOML and JSON of others: whatever is wrong with them is one exception, MalformedError.

Python's own parsers raise three kinds: of syntax, RecursionError where brackets are nested deeper
than its stack, and ValueError for a number with more digits than it converts.
"""

import json
import tomllib
from typing import Any


class MalformedError(ValueError):
    """A text that is not what it should be; the message says what is wrong.

    Attributes:
        line: Where, counted from 1, if JSON's parser told.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table that a TOML text holds.

    Raises:
        MalformedError: It is no TOML, or none that Python takes.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise MalformedError("It is nested too deeply") from None
    except ValueError as error:
        raise MalformedError(_reason(error)) from None


def parse_json(text: str | bytes) -> Any:
    """Return the value that a JSON text holds.

    Raises:
        MalformedError: It is no JSON, or none that Python takes.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise MalformedError(error.msg, error.lineno) from None
    except RecursionError:
        raise MalformedError("It is nested too deeply") from None
    except ValueError as error:
        raise MalformedError(_reason(error)) from None


def _reason(error: ValueError) -> str:
    """Return what a parser says; a subclass of ValueError is its own, of syntax."""
    return "A number has too many digits" if type(error) is ValueError else str(error)
