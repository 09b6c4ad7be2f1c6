"""What the fleet's tests share."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def closed_clients():
    """Clients of MQTT have files open until they are collected: not those of the next tests."""
    yield
    gc.collect()
