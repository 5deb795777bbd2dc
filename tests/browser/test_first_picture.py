"""A picture that is reduced at first: that it is continued, and how soon it is there.

The figures are bench's and have no bound here. They are taken only for ``make
bench-proxy``, which sets MEASURE: a slow link takes its time.
"""

import json
import os

import pytest
from support.browser import FULL, REDUCED, Figures

BYTES_PER_S = 60_000
STAGES = "stackRetrieveOptions:"

# Times are of the page's own clock: from the first request for a frame until a
# picture of each quality stands in the viewport.
_WATCH = """() => {
  performance.setResourceTimingBufferSize(10000);
  window.seenAt = {};
  const look = () => {
    for (const engine of window.cornerstone?.getRenderingEngines() ?? [])
      for (const viewport of engine.getViewports()) {
        const quality = viewport.csImage?.imageQualityStatus;
        if (quality != null) seenAt[quality] ??= performance.now();
      }
    requestAnimationFrame(look);
  };
  look();
}"""
_FIRST_ASKED = """() => Math.min(...performance.getEntriesByType('resource')
  .filter((entry) => entry.name.includes('/frames/')).map((entry) => entry.startTime))
"""


def seconds_by_quality(viewer, studies):
    """Opens the large MR on a slow link; seconds until each quality was shown."""
    viewer.open_list()
    # Requests that could be routed are throttled twice.
    viewer.page.unroute_all()
    viewer.page.evaluate(_WATCH)
    viewer.throttle(BYTES_PER_S)
    viewer.launch(studies.large.patient)
    viewer.until(
        lambda: viewer.page.evaluate(f"() => window.seenAt?.[{FULL}] ?? null"),
        "the full picture",
    )
    asked = viewer.page.evaluate(_FIRST_ASKED)
    seen = viewer.page.evaluate("() => window.seenAt")
    return {int(quality): (at - asked) / 1000 for quality, at in seen.items()}


def without_stages(route):
    """OHIF as it is by itself: one request for a frame, shown as it streams."""
    answer = route.fetch()
    text = answer.text()
    assert STAGES in text
    route.fulfill(
        body=text.replace(STAGES, "notUsed:"),
        content_type="text/javascript",
        headers={"Content-Security-Policy": answer.headers["content-security-policy"]},
    )


def full_figures(viewer):
    """Of the picture in the first stack, once it is at full quality."""

    def full():
        shown = viewer.shown()
        return shown[0].figures if shown and shown[0].quality == FULL else None

    return viewer.until(full, "a picture of full quality")


def test_the_rest_of_a_reduced_frame_is_all_that_is_fetched(viewer, studies):
    right = Figures.of(studies.large.values[0])
    viewer.open_study(studies.large.study)
    assert full_figures(viewer) == right
    reduced, rest = viewer.requests("/frames/")
    assert reduced.path == f"{rest.path}?reduce=2"
    assert rest.headers["range"].startswith("bytes=")
    # Again, with what the browser kept of both answers.
    viewer.open_study(studies.large.study)
    assert full_figures(viewer) == right


@pytest.mark.skipif(
    "MEASURE" not in os.environ, reason="measures; make bench-proxy runs it"
)
def test_first_picture(visit, open_site, studies, artefacts):
    # The code that shows pictures is in the browser's cache before the link is slow.
    plain = visit(open_site)
    plain.page.route("**/isocenter/data_source.mjs", without_stages)
    plain.open_study(studies.cine.study)
    without = seconds_by_quality(plain, studies)
    assert FULL in without

    staged = visit(open_site)
    staged.open_study(studies.cine.study)
    found = seconds_by_quality(staged, studies)
    assert set(found) == {REDUCED, FULL}
    figures = {
        "first_s": found[REDUCED],
        "full_s": found[FULL],
        "full_without_levels_s": without[FULL],
    }
    artefacts.mkdir(parents=True, exist_ok=True)
    (artefacts / "first-picture.json").write_text(json.dumps(figures))
