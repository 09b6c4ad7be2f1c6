"""Answers in words, and as JSON of a client's own making, from what pictures show.

picaption describes; it does not chat. A question about an object that it knows gets yes, no or
unsure from the scores, whatever else is asked gets the description.
"""

import re
from dataclasses import dataclass
from typing import Any

from .....bundle.object_words import match_phrases
from .....recognition.result import Score
from .observer import NO, UNSURE, YES, NamePhrases, View, as_sentence

#: Sentences that ask whether something is there.
_ASKS = re.compile(
    r"\b((is|are|was|were) (there|any|an?|some)|(do|can|could|did) you (see|spot|find)"
    r"|(do|does|did) (the|this|that|it) .*\b(show|contain|have|include|depict)s?"
    r"|(is|are) .*\b(visible|present|in (the|this)|there))\b",
    re.IGNORECASE,
)
#: Prompts that ask for the sentence alone.
_ASKS_SENTENCE = re.compile(
    r"\b((one|a single|1|exactly one) sentence|caption|headline|title)\b", re.IGNORECASE
)
#: Characters of a prompt that are read at most.
MAX_PROMPT = 20_000


@dataclass(frozen=True)
class Verdict:
    """Whether an object that a question names is there.

    Attributes:
        name: The object; empty: the question names none that is known.
        verdict: YES, NO or UNSURE.
        score: Its score, 0 to 1; None: not known.
    """

    name: str
    verdict: str
    score: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what a client reads."""
        score = None if self.score is None else round(self.score, 4)
        return {"object": self.name, "answer": self.verdict, "confidence": score}


def answer_in_words(prompt: str, view: View, phrases: NamePhrases) -> str:
    """Return the answer to a prompt.

    Args:
        prompt: What the client asks.
        view: What its images show.
        phrases: What words name (picaption.device.outputs.web.api.child.observer.Observer).
    """
    if view.silence is not None:
        return as_sentence(view.silence)
    verdicts = judge_question(prompt, view, phrases)
    if verdicts:
        return " ".join([*map(_verdict_text, verdicts), *view.sentences])
    if _ASKS_SENTENCE.search(prompt[:MAX_PROMPT]) and view.sentences:
        return " ".join(view.sentences)
    return describe(view)


def describe(view: View) -> str:
    """Return all that can be told, as sentences."""
    parts = list(view.sentences)
    if view.objects:
        parts.append(f"Objects: {_with_percent(view.objects)}.")
    elif view.names:
        parts.append(f"Shows: {_with_percent(view.names[:1])}.")
    if view.tags:
        parts.append(f"Tags: {', '.join(tag.name for tag in view.tags)}.")
    return " ".join(parts) or "Nothing that is certain."


def description_json(prompt: str, view: View, phrases: NamePhrases) -> dict[str, Any]:
    """Return what a client gets that asks for JSON and leaves its form open."""
    form: dict[str, Any] = {
        "caption": " ".join(view.sentences) or None,
        "confidence": None if view.confidence is None else round(view.confidence, 4),
        "unsure": view.is_unsure,
        "labels": [
            {"name": label.name, "confidence": round(label.score, 4)}
            for label in certain_labels(view)
        ],
        "tags": [tag.name for tag in view.tags],
        "silence": view.silence,
    }
    verdicts = judge_question(prompt, view, phrases)
    if verdicts:
        form["answers"] = [verdict.to_json() for verdict in verdicts]
    return form


def certain_labels(view: View) -> tuple[Score, ...]:
    """Return the classes and names that are certain, once each."""
    labels = {label.name: label for label in (*view.objects, *view.names)}
    return tuple(labels.values())


def judge_question(prompt: str, view: View, phrases: NamePhrases) -> list[Verdict]:
    """Return the verdicts on what a prompt's questions name; none where it asks for no object."""
    verdicts: dict[str, Verdict] = {}
    has_asked = False
    for sentence in re.findall(r"[^.?!\n:]*\?", prompt[:MAX_PROMPT]):
        if not _ASKS.search(sentence):
            continue
        has_asked = True
        for name in named_objects(sentence, phrases):
            verdicts[name] = Verdict(name, view.verdict(name), view.scores.get(name))
    if has_asked and not verdicts:
        return [Verdict("", UNSURE)]
    return list(verdicts.values())


def named_objects(text: str, phrases: NamePhrases) -> list[str]:
    """Return the classes and names that a text names, once each, in their order there."""
    words = re.findall(r"[a-z]+", text.lower())
    names = [name for names in match_phrases(words, phrases) for name in names]
    return list(dict.fromkeys(names))


def _verdict_text(verdict: Verdict) -> str:
    if not verdict.name:
        return "Unsure: the question names nothing that is known by name."
    shown = {YES: "Yes", NO: "No", UNSURE: "Unsure"}[verdict.verdict]
    if verdict.score is None:
        return f"{shown}: {verdict.name}."
    return f"{shown}: {verdict.name} ({_percent(verdict.score)})."


def _with_percent(scores: tuple[Score, ...]) -> str:
    return ", ".join(f"{score.name} ({_percent(score.score)})" for score in scores)


def _percent(score: float) -> str:
    """Return a score as people read it; nothing is as sure as 0 or 100 %."""
    return f"{min(99, max(1, round(score * 100)))} %"
