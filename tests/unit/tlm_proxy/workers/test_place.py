"""Places of workers, and who owns a frame."""

import os
from collections import Counter

import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.workers.place import Place, Workers


def test_places_are_taken_once_and_free_again_after_a_death(tmp_path):
    workers = Workers(tmp_path, 3)
    places = [Place.take(workers) for _ in range(3)]
    assert [place.number for place in places] == [0, 1, 2]
    with pytest.raises(ConfigurationError, match="3 workers"):
        Place.take(workers)
    places[1].socket.touch()
    os.close(places[1].lock)
    again = Place.take(workers)
    assert again.number == 1
    # What the dead one left does not stand in the way.
    assert not again.socket.exists()
    for place in (places[0], places[2], again):
        os.close(place.lock)


def test_every_frame_has_one_owner_and_every_worker_frames(tmp_path):
    workers = Workers(tmp_path, 4)
    keys = [FrameKey("r", "d", "i", f"{n:032x}") for n in range(2000)]
    owners = [workers.owner(key) for key in keys]
    assert owners == [Workers(tmp_path, 4).owner(key) for key in keys]
    assert all(400 < count < 600 for count in Counter(owners).values())
    assert set(owners) == {0, 1, 2, 3}
