"""A headless Chromium, the viewer's pages in it, and what they asked for."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    Request,
    sync_playwright,
)

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    *("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    # WebGL2 in software: without these two pictures may stay black, silently.
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
)
FULL, REDUCED = 8, 6
"""cornerstone's ImageQualityStatus: FULL_RESOLUTION, SUBRESOLUTION."""
_WAIT_S = 60

# Figures of an image that tell it from any other: the sum alone would not see two
# pixels change places. 4-component pixels have alpha, which is left out.
_FIGURES = """
const figures = (image) => {
  const pixels = image.getPixelData();
  const area = image.rows * image.columns;
  const stored = Math.round(pixels.length / area);
  const used = Math.min(stored, 3);
  let sum = 0, weighted = 0, n = 0;
  for (let p = 0; p < area; p++)
    for (let c = 0; c < used; c++, n++) {
      const value = pixels[p * stored + c];
      sum += value;
      weighted += value * (n % 997);
    }
  const [, instance, frame] =
    image.imageId.match(/instances\\/([\\d.]+)\\/frames\\/(\\d+)/);
  return {instance, frame: Number(frame), rows: image.rows, columns: image.columns,
    samples: used, sum, weighted, quality: image.imageQualityStatus ?? null};
};
"""
_SHOWN = f"""() => {{ {_FIGURES}
  if (!window.cornerstone) return [];
  return cornerstone.getRenderingEngines().flatMap((engine) => engine.getViewports())
    .filter((viewport) => viewport.type === 'stack' && viewport.csImage)
    .map((viewport) => figures(viewport.csImage));
}}"""
_VOLUMES = f"""() => {{ {_FIGURES}
  if (!window.cornerstone) return [];
  return cornerstone.cache.getVolumes().map((volume) => ({{
    loaded: volume.loadStatus?.loaded ?? null,
    frames: volume.imageIds.map((id) => {{
      const image = cornerstone.cache.getImage(id);
      return image ? figures(image) : null;
    }}),
  }}));
}}"""
_VIEWPORTS = """() => !window.cornerstone ? [] : cornerstone.getRenderingEngines()
  .flatMap((engine) => engine.getViewports()).map((viewport) => viewport.type)"""
_CANVAS = """() => [...document.querySelectorAll('canvas.cornerstone-canvas')].map(
(canvas) => {
  const copy = document.createElement('canvas');
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext('2d');
  context.drawImage(canvas, 0, 0);
  const data = context.getImageData(0, 0, copy.width, copy.height).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
  return sum / (data.length / 4 * 3);
})"""


@dataclass(frozen=True)
class Figures:
    """What is compared of a frame after the modality LUT."""

    rows: int
    columns: int
    samples: int
    sum: float
    weighted: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Figures":
        """Of (rows, columns) or (rows, columns, samples)."""
        samples = values.shape[2] if values.ndim == 3 else 1
        flat = values.reshape(-1).astype(np.float64)
        weights = np.arange(flat.size) % 997
        return cls(
            values.shape[0],
            values.shape[1],
            samples,
            float(flat.sum()),
            float((flat * weights).sum()),
        )


@dataclass(frozen=True)
class Picture:
    """A frame as the viewer holds it."""

    instance: str
    frame: int
    quality: int | None
    figures: Figures

    @classmethod
    def read(cls, found: dict[str, Any]) -> "Picture":
        """From what the page answered."""
        return cls(
            found["instance"],
            found["frame"],
            found["quality"],
            Figures(
                found["rows"],
                found["columns"],
                found["samples"],
                float(found["sum"]),
                float(found["weighted"]),
            ),
        )


@dataclass(frozen=True)
class Asked:
    """One request of a page."""

    method: str
    url: str
    headers: dict[str, str]

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path


class Viewer:
    """The viewer as somebody uses it, in a context of its own.

    Args:
        context: a fresh browser context.
        origin: where the viewer is served.
        artefacts: folder for screenshots.
    """

    def __init__(self, context: BrowserContext, origin: str, artefacts: Path) -> None:
        self.origin = origin
        self.asked: list[Asked] = []
        self.console: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(_WAIT_S * 1000)
        self._context = context
        self._artefacts = artefacts
        context.on("request", self._note)
        self.page.on(
            "console",
            lambda line: (
                self.console.append(line.text) if line.type == "error" else None
            ),
        )

    def _note(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.asked.append(Asked(request.method, request.url, dict(request.headers)))

    def requests(self, pattern: str) -> list[Asked]:
        """Requests whose path and query hold a regular expression, in order."""
        return [asked for asked in self.asked if re.search(pattern, asked.path)]

    # what somebody does

    def open_list(self) -> None:
        """The study list, until a patient is there; also after a login's redirects."""
        self.page.goto(f"{self.origin}/")
        self.until(lambda: self.patients() or None, "a patient")

    def patients(self) -> list[str]:
        """The family names of the rows, in order."""
        names = self.page.locator("tbody tr td:first-child").all_inner_texts()
        return [name.partition(",")[0].strip() for name in names if name.strip()]

    def filter_patient(self, text: str) -> None:
        """Type into the filter of the column Patient."""
        self.page.locator("table td:first-child input").first.fill(text)

    def open_study(self, study: str) -> None:
        """A study by its address, until pictures are shown."""
        self.page.goto(f"{self.origin}/viewer?StudyInstanceUIDs={study}")
        self.until(lambda: self.shown() or None, "a picture")

    def launch(self, patient: str) -> None:
        """A study from the list, as by hand; does not wait for pictures."""
        self.page.locator("tbody tr", has_text=patient).dblclick()

    def choose_layout(self, name: str) -> None:
        """An entry of the Layout menu."""
        self.page.locator("[data-cy=layout-button], [data-cy=Layout-btn]").first.click()
        self.page.get_by_text(name, exact=True).first.click()

    def show_slice(self, index: int) -> None:
        """Jump to a slice of the first stack, counted from 0; waits until shown."""
        self.page.evaluate(
            """async (index) => {
              const viewport = cornerstone.getRenderingEngines()
                .flatMap((engine) => engine.getViewports())
                .find((viewport) => viewport.type === 'stack');
              await viewport.setImageIdIndex(index);
            }""",
            index,
        )

    def throttle(self, bytes_per_second: float | None) -> None:
        """A slow link from now on, or an unbounded one."""
        session = self._context.new_cdp_session(self.page)
        session.send("Network.enable")
        rate = -1 if bytes_per_second is None else bytes_per_second
        session.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": 0,
                "downloadThroughput": rate,
                "uploadThroughput": rate,
            },
        )

    # what there is to see

    def shown(self) -> list[Picture]:
        """The pictures of the stack viewports."""
        return [Picture.read(found) for found in self.page.evaluate(_SHOWN)]

    def volumes(self) -> list[list[Picture | None]]:
        """Every slice of each volume; None where it has not arrived."""
        return [
            [Picture.read(found) if found else None for found in volume["frames"]]
            for volume in self.page.evaluate(_VOLUMES)
        ]

    def viewport_types(self) -> list[str]:
        """What kind each viewport is: stack, orthographic, …"""
        return list(self.page.evaluate(_VIEWPORTS))

    def bearer(self) -> str | None:
        """The Authorization header that the viewer would send now."""
        found = self.page.evaluate(
            "() => window.services?.userAuthenticationService"
            ".getAuthorizationHeader()?.Authorization ?? null"
        )
        return None if found is None else str(found)

    def brightness(self) -> list[float]:
        """The mean grey of each viewport's canvas; a black one is 0."""
        return list(self.page.evaluate(_CANVAS))

    def screenshot(self, name: str) -> None:
        """Keep what the page looks like."""
        self._artefacts.mkdir(parents=True, exist_ok=True)
        file = re.sub(r"[^0-9A-Za-z_-]+", "-", name).strip("-")
        self.page.screenshot(path=self._artefacts / f"{file}.png")

    def until(
        self, look: Callable[[], Any], what: str, seconds: float = _WAIT_S
    ) -> Any:
        """The first answer of ``look`` that is not None; the page lives meanwhile.

        Raises:
            AssertionError: not within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                found = look()
            except Error as error:
                # The page went on to another address while it was asked.
                if "context was destroyed" not in str(error):
                    raise
                found = None
            if found is not None:
                return found
            self.page.wait_for_timeout(50)
        self.screenshot("not-seen")
        raise AssertionError(
            f"{what} was not seen within {seconds} s at {self.page.url}; "
            f"console: {self.console[-5:]}"
        )


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser; contexts in it are separate users."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=list(FLAGS)
        )
        try:
            yield browser
        finally:
            browser.close()
