"""Who leads a roll-out: steps, what stops it, and when it is over; without a broker."""

from dataclasses import replace

import pytest

from picaption.device.fleet.rollout.health import Rules
from picaption.device.fleet.rollout.manifest import ABORTED, DONE, VERSION, position
from picaption.device.fleet.rollout.progress import FAILED, TAKEN, TAKING, WAITING, WENT_BACK
from picaption.device.fleet.rollout.steward import TAKE_BACK_SECONDS, UPDATE_SECONDS, Steward
from picaption.device.fleet.status import DeviceStatus
from picaption.device.fleet.watch import Device

COUNT = 200


class Fleet:
    """A steward of devices that do what its manifests say, under a clock of their own."""

    def __init__(self, manifest, shares=(10.0, 100.0)):
        self.now = 0.0
        self.published = []
        self.devices = [
            Device(f"device-{index}", True, DeviceStatus(fps=10.0, unsure=0.2, started=1.0))
            for index in range(COUNT)
        ]
        for index in range(COUNT):
            self.set(index, rollout_state=WAITING)
        begun = replace(manifest, share=0.0, rules=Rules(soak_seconds=100.0))
        self.steward = Steward(begun, shares, self.published.append, lambda: self.now)
        self.steward.begin(self.devices)

    def set(self, index, is_online=True, **changes):
        device = self.devices[index]
        self.devices[index] = Device(device.name, is_online, replace(device.status, **changes))

    def due(self):
        manifest = self.steward.manifest
        names = [device.name for device in self.devices]
        return [i for i in range(COUNT) if position(manifest.id, names[i]) < manifest.share]

    def take(self, *indices, **changes):
        for index in indices:
            self.set(index, rollout=self.steward.manifest.id, rollout_state=TAKEN, **changes)

    def look(self, seconds):
        self.now += seconds
        self.steward.look(self.devices)


@pytest.fixture
def fleet(manifest):
    return Fleet(manifest)


def test_a_good_one_goes_step_by_step_to_all(fleet):
    assert [manifest.share for manifest in fleet.published] == [10.0]
    fleet.take(*fleet.due())
    fleet.look(50)
    assert len(fleet.published) == 1  # It soaks.
    fleet.look(51)
    assert fleet.published[-1].share == 100.0
    fleet.look(101)
    missing = fleet.steward.missing(fleet.devices)
    assert len(fleet.published) == 2 and len(missing) > 100
    fleet.take(*range(COUNT))
    fleet.look(25)
    assert fleet.published[-1].state == DONE and fleet.steward.is_over
    serials = [manifest.serial for manifest in fleet.published]
    assert serials == sorted(set(serials))


def test_it_goes_on_only_with_figures_of_those_that_have_it(fleet):
    due = fleet.due()
    fleet.take(*due, fps=None)
    fleet.look(101)
    assert len(fleet.published) == 1
    fleet.take(*due[: len(due) // 2 + 1], fps=10.0)
    fleet.look(26)
    assert fleet.published[-1].share == 100.0


def test_who_is_offline_or_takes_no_part_is_not_waited_for(fleet):
    due = fleet.due()
    fleet.take(*due[2:])
    fleet.set(due[0], is_online=False)
    fleet.set(due[1], rollout_state="")
    assert fleet.steward.missing(fleet.devices) == []
    fleet.look(101)
    assert fleet.published[-1].share == 100.0


def test_slow_devices_stop_it_and_those_that_have_it_are_waited_for(fleet):
    due = fleet.due()
    fleet.take(*due, fps=6.0)
    fleet.look(26)
    last = fleet.published[-1]
    assert last.state == ABORTED and "frames a second fell by 40%" in last.note
    fleet.look(1)
    assert not fleet.steward.is_over
    for index in due:
        fleet.set(index, rollout_state=WENT_BACK)
    fleet.look(1)
    assert fleet.steward.is_over and fleet.steward.counts(fleet.devices) == {WENT_BACK: len(due)}


def test_who_does_not_go_back_is_not_waited_for_for_ever(fleet):
    fleet.take(*fleet.due(), fps=6.0)
    fleet.look(26)
    fleet.look(TAKE_BACK_SECONDS + 1)
    assert fleet.steward.is_over


def test_devices_that_go_offline_or_start_again_have_crashed(fleet):
    due = fleet.due()
    half = len(due) // 2
    fleet.take(*due[:half], started=2.0)
    fleet.take(*due[half:])
    for index in due[half:]:
        fleet.set(index, is_online=False)
    fleet.look(26)
    assert f"{len(due)} of {len(due)} that have it failed, and 0 of" in fleet.published[-1].note


def test_a_version_has_devices_start_once(manifest):
    fleet = Fleet(replace(manifest, artifact=VERSION))
    due = fleet.due()
    for index in due:
        identity = fleet.steward.manifest.id
        fleet.set(index, is_online=False, rollout=identity, rollout_state=TAKING)
    fleet.look(101)
    assert len(fleet.published) == 1  # They are away, and waited for.
    fleet.take(*due, started=2.0)
    fleet.steward.restart_step()
    fleet.look(26)
    assert len(fleet.published) == 1
    # Twice is a crash; and who does not come back, too.
    fleet.take(*due, started=3.0)
    fleet.look(26)
    assert f"{len(due)} of {len(due)} that have it failed" in fleet.published[-1].note
    fleet = Fleet(replace(manifest, artifact=VERSION))
    for index in fleet.due():
        identity = fleet.steward.manifest.id
        fleet.set(index, is_online=False, rollout=identity, rollout_state=TAKING)
    fleet.look(UPDATE_SECONDS + 1)
    assert "that have it failed" in fleet.published[-1].note


def test_what_befalls_all_alike_stops_nothing(fleet):
    fleet.take(*fleet.due())
    for index in range(COUNT):
        fleet.set(index, fps=5.0, unsure=0.6, started=2.0)
    fleet.look(101)
    assert fleet.published[-1].share == 100.0


def test_one_that_cannot_be_used_is_stopped_by_the_first_look(fleet):
    due = fleet.due()
    fleet.set(due[0], rollout=fleet.steward.manifest.id, rollout_state=FAILED)
    fleet.look(26)
    assert fleet.published[-1].note == "1 of 1 that tried it cannot use it"


def test_after_a_broken_connection_the_step_soaks_anew(fleet):
    fleet.take(*fleet.due())
    fleet.look(90)
    fleet.steward.restart_step()
    fleet.look(90)
    assert len(fleet.published) == 1
    fleet.look(30)
    assert fleet.published[-1].share == 100.0


def test_a_roll_out_goes_on_where_it_stands(manifest):
    published = []
    standing = replace(manifest, share=10.0)
    Steward(standing, [5.0, 10.0, 25.0], published.append).begin([])
    assert published[0].share == 25.0
