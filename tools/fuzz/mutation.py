"""Mutations of bytes and of text, by a seeded generator: the same seed, the same input."""

import random
import re

#: Numbers at the edges of what 8, 16, 32 and 64 bits hold, as bytes.
_EDGES = tuple(
    value.to_bytes(size, order, signed=value < 0)
    for size in (1, 2, 4, 8)
    for order in ("little", "big")
    for value in (0, 1, -1, 2 ** (8 * size - 1) - 1, -(2 ** (8 * size - 1)))
)
#: What texts are made to hold.
_ODD_TEXTS = (
    "",
    "\0",
    "\x7f",
    "\x1b[31m",
    "\r",
    "\t",
    "\n\n",
    "\ufeff",
    "\u202e",
    "é",
    "\U0001f600",
    "../../x",
    "/etc/passwd",
    "%s{}",
    "<b>&amp;",
    '"',
    "'",
    "\\",
    "[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    "#",
    "x" * 300,
    "a/" * 200,
)
#: What numbers in texts become.
_ODD_NUMBERS = (
    "0",
    "-1",
    "1e308",
    "-1e999",
    "nan",
    "inf",
    "0.1234567890123",
    "99999999999999999999",
    "0x10",
    "1_000",
    "true",
    '"text"',
    "[]",
    "{}",
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
#: How deep nested brackets become, and how long a number: beyond what Python takes by default.
_DEEP = 2000
_DIGITS = 5000
#: Rare, since they cost time.
_RARE = 0.01
_MAX_MUTATIONS = 4


def mutate_bytes(seed: bytes, generator: random.Random) -> bytes:
    """Return `seed` with a few places changed, cut out, doubled or filled in."""
    content = bytearray(seed)
    for _ in range(generator.randint(1, _MAX_MUTATIONS)):
        start = generator.randrange(len(content) + 1)
        end = min(len(content), start + generator.choice((1, 2, 4, 16, 256)))
        action = generator.randrange(7)
        if action == 0 and content:
            content[start % len(content)] ^= 1 << generator.randrange(8)
        elif action == 1:
            edge = generator.choice(_EDGES)
            content[start : start + len(edge)] = edge
        elif action == 2:
            del content[start:end]
        elif action == 3:
            content[start:start] = content[start:end]
        elif action == 4:
            content[start:end] = generator.randbytes(end - start)
        elif action == 5:
            content[start:start] = generator.randbytes(generator.choice((1, 4, 64)))
        else:
            del content[start:]
    return bytes(content)


def mutate_text(seed: bytes, generator: random.Random) -> bytes:
    """Return a text with numbers, words and lines changed; now and then bytes of it."""
    if generator.random() < 0.2:
        return mutate_bytes(seed, generator)
    text = seed.decode("utf-8", "surrogateescape")
    for _ in range(generator.randint(1, _MAX_MUTATIONS)):
        text = generator.choice(_TEXT_MUTATIONS)(text, generator)
    return text.encode("utf-8", "surrogateescape")


def _replace_number(text: str, generator: random.Random) -> str:
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return text
    match = generator.choice(numbers)
    number = generator.choice(_ODD_NUMBERS)
    if generator.random() < _RARE:
        number = "9" * _DIGITS
    return text[: match.start()] + number + text[match.end() :]


def _insert_text(text: str, generator: random.Random) -> str:
    position = generator.randrange(len(text) + 1)
    inserted = generator.choice(_ODD_TEXTS)
    if generator.random() < _RARE:
        inserted = generator.choice(("[", "{a=", '{"a":')) * _DEEP
    return text[:position] + inserted + text[position:]


def _replace_word(text: str, generator: random.Random) -> str:
    words = list(re.finditer(r"\w+", text))
    if not words:
        return text
    match = generator.choice(words)
    word = generator.choice((*_ODD_TEXTS, generator.choice(words)[0]))
    return text[: match.start()] + word + text[match.end() :]


def _change_lines(text: str, generator: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    index = generator.randrange(len(lines))
    action = generator.randrange(4)
    if action == 0:
        del lines[index]
    elif action == 1:
        lines.insert(generator.randrange(len(lines)), lines[index])
    elif action == 2:
        lines[index] = lines[index].rstrip("\n")
    else:
        del lines[index:]
    return "".join(lines)


def _delete_character(text: str, generator: random.Random) -> str:
    position = generator.randrange(len(text) + 1)
    return text[:position] + text[position + 1 :]


_TEXT_MUTATIONS = (
    _replace_number,
    _insert_text,
    _replace_word,
    _change_lines,
    _delete_character,
)
