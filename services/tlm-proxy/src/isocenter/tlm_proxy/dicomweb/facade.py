"""The facade's parts, one of each per process."""

from isocenter.tlm_proxy.dicomweb.locate import Locator
from isocenter.tlm_proxy.dicomweb.metadata import SeriesMetadata
from isocenter.tlm_proxy.dicomweb.search import Searches
from isocenter.tlm_proxy.dicomweb.sources import DicomWebSource, ImageSetSource
from isocenter.tlm_proxy.dicomweb.study_search import StudySearches
from isocenter.tlm_proxy.dicomweb.thumbnails import Thumbnails
from isocenter.tlm_proxy.errors import RegionNotServedError
from isocenter.tlm_proxy.frames.key import Store
from isocenter.tlm_proxy.frames.store import Frames
from isocenter.tlm_proxy.settings import Settings


class DicomWeb:
    """What the facade's routes use.

    Args:
        settings: what the process was told, with the regions served.
        frames: where frames come from.
        dicomweb: HealthImaging's DICOMweb service.
        image_sets: HealthImaging's calls on image sets.

    Attributes:
        locator: finds frames.
        searches: QIDO-RS.
        metadata: WADO-RS metadata.
        thumbnails: pictures.
    """

    def __init__(
        self,
        settings: Settings,
        frames: Frames,
        dicomweb: DicomWebSource,
        image_sets: ImageSetSource,
    ) -> None:
        self._regions = settings.regions
        self.locator = Locator(
            image_sets,
            ttl_s=settings.dicomweb_map_ttl_s,
            max_bytes=settings.dicomweb_map_max_bytes,
        )
        self.searches = StudySearches(
            Searches(dicomweb, settings.dicomweb_search_max_rows),
            image_sets,
            self.locator,
        )
        self.metadata = SeriesMetadata(dicomweb, self.locator)
        self.thumbnails = Thumbnails(frames, self.locator)

    def store(self, region: str, datastore_id: str) -> Store:
        """The data store of a path.

        Raises:
            RegionNotServedError: it names another region.
        """
        if region not in self._regions:
            raise RegionNotServedError(
                f"the proxy serves {', '.join(self._regions)}, not the region "
                "of this path"
            )
        return Store(region, datastore_id)

    def close(self) -> None:
        """Give threads up."""
        self.thumbnails.close()
