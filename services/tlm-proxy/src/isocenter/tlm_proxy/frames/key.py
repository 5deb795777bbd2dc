"""Which frame."""

from typing import NamedTuple


class FrameKey(NamedTuple):
    """HealthImaging's ids; a frame never changes under them."""

    datastore_id: str
    image_set_id: str
    frame_id: str
