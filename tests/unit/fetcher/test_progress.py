import logging

from isocenter.fetcher.progress import Progress, Reached


def test_counts_and_a_line_now_and_then(caplog):
    caplog.set_level(logging.INFO, "isocenter")
    now = [100.0]
    progress = Progress(2, every=5, clock=lambda: now[0])
    progress.planned(3)
    for _ in range(2):
        now[0] += 2.6
        progress.frame(1_000_000)
    progress.frame(0)
    progress.image_set()

    assert progress.reached == Reached(1, 2, 3, 3, 2_000_000)
    (line,) = caplog.records
    assert line.getMessage() == (
        "0 of 2 image sets, 2 of 3 frames, 0.4 frames/s, 0.4 MB/s"
    )
    assert (line.bytes, line.duration_s) == (2_000_000, 5.2)
