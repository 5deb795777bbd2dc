"""Which data store, which frame."""

from typing import NamedTuple


class Store(NamedTuple):
    """A data store of HealthImaging: its id is known in its region only."""

    region: str
    datastore_id: str


class FrameKey(NamedTuple):
    """HealthImaging's ids; a frame never changes under them."""

    region: str
    datastore_id: str
    image_set_id: str
    frame_id: str
