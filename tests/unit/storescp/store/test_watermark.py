import pytest

from isocenter.storescp.status import StoreRefusedError
from isocenter.storescp.store.watermark import Limits, Watermark, full

MARKS = Limits(min_free_bytes=100, resume_free_bytes=150, max_bytes=1000)


@pytest.mark.parametrize(
    ("free", "used", "refusing", "expected"),
    [
        (101, 0, False, False),
        (100, 0, False, True),
        (149, 0, True, True),
        (149, 0, False, False),
        (150, 0, True, False),
        (500, 999, False, False),
        (500, 1000, False, True),
        (500, 901, True, True),
        (500, 900, True, False),
    ],
)
def test_marks(free, used, refusing, expected):
    assert full(MARKS, free, used, refusing=refusing) is expected


def test_without_limits_only_a_full_volume_refuses():
    assert not full(Limits(), 1, 10**12, refusing=True)
    assert full(Limits(), 0, 0, refusing=False)


def test_it_says_so_once_each_way(tmp_path, caplog):
    used = [0]
    mark = Watermark(tmp_path, Limits(max_bytes=10), lambda: used[0])
    mark.check()
    used[0] = 10
    for _ in range(3):
        with pytest.raises(StoreRefusedError):
            mark.check()
    used[0] = 0
    mark.check()
    mark.check()
    assert [r.levelname for r in caplog.records if "spool" in r.message] == ["WARNING"]
