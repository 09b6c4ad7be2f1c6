"""Mutated bundles, a few of those that `python -m tools.fuzz.bundles` makes: none is a fault."""

import random

import pytest

pytest.importorskip("ai_edge_litert.schema_py_generated")

from picaption.device.bundle.archive import HASH, content_hash, split_bundle
from picaption.device.bundle.trust import trust
from picaption.device.errors import PicaptionError
from tools.fuzz import bundles

BUNDLE = bundles.BUNDLE.read_bytes()


def test_mutations_are_those_of_their_seed_and_have_a_right_hash():
    for seed in range(60):
        data = bundles.mutate(random.Random(seed), BUNDLE)
        assert data == bundles.mutate(random.Random(seed), BUNDLE)
        assert data != BUNDLE or seed
    right = 0
    for seed in range(60):
        try:
            graph, members = split_bundle(bundles.mutate(random.Random(seed), BUNDLE))
        except Exception:
            continue
        right += members.pop(HASH).decode() == content_hash(graph, members)
    assert right > 50


def test_none_ends_in_a_traceback_a_crash_or_a_hang():
    records = list(bundles.run_all(BUNDLE, range(100)))
    assert [record.seed for record in records] == list(range(100))
    assert [record for record in records if bundles.is_fault(record)] == []
    outcomes = {record.outcome.partition(":")[0] for record in records}
    assert outcomes == {"used", "refused"}


def test_a_process_that_ends_or_takes_long_is_a_fault():
    fault = bundles.Record(7, "CRASH: -11", 0.1)
    assert bundles.is_fault(fault)
    assert bundles.is_fault(bundles.Record(7, "used", 11.0))
    assert not bundles.is_fault(bundles.Record(7, "refused: its classify fails", 0.1))


def test_it_tries_bundles_as_the_commands_do():
    # In a process that is started, not forked: the way that every command goes.
    for seed in range(200, 206):
        data = bundles.mutate(random.Random(seed), BUNDLE)
        answers = []
        for try_out in (trust.try_in_child, bundles.try_in_fork):
            try:
                try_out(data, "a.tflite")
            except PicaptionError as error:
                answers.append(str(error))
            else:
                answers.append("usable")
        assert answers[0] == answers[1]
