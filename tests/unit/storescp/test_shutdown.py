"""The shares of the grace time."""

import pytest

from isocenter.storescp.shutdown import Shares


@pytest.mark.parametrize(
    ("grace_s", "associations_s", "last_s"),
    [
        (0, 0, 0),
        (1, 0.75, 1 / 12),
        (45, 33.75, 3.75),
        (120, 90, 10),
        (600, 570, 10),
        (3600, 3570, 10),
    ],
)
def test_associations_get_all_but_a_short_reserve(grace_s, associations_s, last_s):
    shares = Shares.of(grace_s)
    assert shares.associations_s == pytest.approx(associations_s)
    assert shares.last_s == pytest.approx(last_s)
    # Both waits for associations are over before the time is: the spool has a rest.
    assert shares.associations_s + 2 * shares.last_s <= grace_s
