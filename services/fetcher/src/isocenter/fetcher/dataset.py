"""A request to a dataset on disk, manifest last.

A directory with a manifest is a complete dataset and is left alone when the same is
asked for again; without one it holds at most leavings of a fetch that was ended, which
are removed before a new start. Arrays of two fetches are never mixed.
"""

import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.dataset import (
    MANIFEST_NAME,
    ArrayFile,
    DatasetManifest,
    Omission,
    OmissionReason,
    parse_dataset,
)
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.run_request import ImageSetRef, RunRequest
from isocenter.core.settings import load
from isocenter.fetcher import metrics
from isocenter.fetcher.array_file import PART, sha256_of, write_durably
from isocenter.fetcher.decoders import Decoders
from isocenter.fetcher.download import FrameDownloader
from isocenter.fetcher.errors import (
    IncompleteError,
    NothingUsableError,
    UsageError,
    summary,
)
from isocenter.fetcher.image_set_fetch import ImageSetFetch, ImageSetResult, SplitRule
from isocenter.fetcher.image_set_source import ImageSetSource
from isocenter.fetcher.progress import Progress
from isocenter.fetcher.settings import FetcherSettings
from isocenter.fetcher.splits import policy

log = logging.getLogger(__name__)

TOLERATED = frozenset({OmissionReason.NO_FRAMES})
"""Omissions that never fail a fetch: reports and the like have no frames."""
_ID_LENGTH = 32


@dataclass(frozen=True)
class FetchOptions:
    """How a dataset is made, whatever is asked for."""

    split: SplitRule
    image_sets_in_flight: int
    lock_wait: float
    progress_seconds: float

    @classmethod
    def of(cls, settings: FetcherSettings) -> "FetchOptions":
        """The options among the process's settings."""
        return cls(
            split=SplitRule(
                settings.split_salt.get_secret_value(), settings.split_ratios
            ),
            image_sets_in_flight=settings.image_sets_in_flight,
            lock_wait=settings.lock_wait_seconds,
            progress_seconds=settings.progress_seconds,
        )


def open_downloader(
    settings: FetcherSettings, source: ImageSetSource | None = None
) -> FrameDownloader:
    """A downloader as the settings want it; from HealthImaging if no other source."""
    if source is None:
        pool = settings.workers + settings.image_sets_in_flight
        source = HealthImaging.connect(pool=pool)
    return FrameDownloader(
        source,
        workers=settings.workers,
        decoders=Decoders(settings.decode_processes),
        memory_bytes=settings.memory_mib << 20,
        attempts=settings.frame_attempts,
    )


def fetch(
    request: RunRequest,
    output_dir: Path | str,
    *,
    settings: FetcherSettings | None = None,
    source: ImageSetSource | None = None,
    allow_omissions: bool = False,
) -> DatasetManifest:
    """Fetch image sets into a dataset: the Python API.

    Large datasets are decoded in processes. A script that calls this has to do so
    below ``if __name__ == "__main__":``, as the standard library's ``multiprocessing``
    asks for; or pass ``FetcherSettings(decode_processes=1)``.

    Args:
        request: data store and image sets, each pinned to a version or not.
        output_dir: made if absent; one directory for each image set goes into it.
        settings: limits and splits; read from the environment if None.
        source: HealthImaging, or what answers like it.
        allow_omissions: write the manifest although something asked for is missing.

    Returns:
        The manifest, also written to ``manifest.json``. A complete dataset of the
        same request is not fetched again.

    Raises:
        ConfigurationError: an environment variable is wrong.
        UsageError: the request contradicts itself, or the directory holds another
            dataset.
        NothingUsableError: not one array came out of the request.
        IncompleteError: something is missing and that was not allowed.
        OSError: the directory can't be written.
    """
    settings = settings or load(FetcherSettings)
    with open_downloader(settings, source) as downloader:
        return fetch_dataset(
            request,
            Path(output_dir),
            downloader=downloader,
            options=FetchOptions.of(settings),
            allow_omissions=allow_omissions,
        )


def fetch_dataset(
    request: RunRequest,
    directory: Path,
    *,
    downloader: FrameDownloader,
    options: FetchOptions,
    allow_omissions: bool,
    on_start: Callable[[Progress], None] = lambda _: None,
) -> DatasetManifest:
    """As ``fetch``, with a downloader that several fetches share."""
    refs = distinct(request.image_sets)
    directory.mkdir(parents=True, exist_ok=True)
    with _alone_in(directory):
        existing = find_existing(directory, request, options.split)
        if existing is not None:
            log.info("the dataset is there already: nothing is fetched")
            check_complete(existing, allow_omissions=allow_omissions)
            return existing
        remove_leavings(directory)
        progress = Progress(len(refs), every=options.progress_seconds)
        on_start(progress)
        image_sets = ImageSetFetch(
            downloader,
            datastore_id=request.datastore_id,
            directory=directory,
            split=options.split,
            lock_wait=options.lock_wait,
            progress=progress,
        )
        results = _fetch_all(image_sets, refs, progress, options.image_sets_in_flight)
        manifest = _manifest(request, results, options.split)
        check_complete(manifest, allow_omissions=allow_omissions)
        write_durably(directory / MANIFEST_NAME, manifest.to_json())
    metrics.DATASETS.labels("complete").inc()
    return manifest


def distinct(refs: Sequence[ImageSetRef]) -> list[ImageSetRef]:
    """Each image set once, in the order asked for.

    Raises:
        UsageError: one image set is asked for in two versions.
    """
    by_id: dict[str, ImageSetRef] = {}
    for ref in refs:
        if by_id.setdefault(ref.id, ref) != ref:
            raise UsageError(
                f"image set {ref.id} is asked for in two versions; name it once"
            )
    return list(by_id.values())


def digest_of(arrays: Iterable[ArrayFile]) -> str:
    """DatasetManifest.digest: SHA-256 over the sorted ``path sha256`` lines."""
    lines = sorted(f"{array.path} {array.sha256}\n" for array in arrays)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_complete(manifest: DatasetManifest, *, allow_omissions: bool) -> None:
    """Decide whether a dataset may be used.

    Raises:
        NothingUsableError, IncompleteError: it may not.
    """
    missing = [item for item in manifest.omissions if item.reason not in TOLERATED]
    if not manifest.image_sets:
        metrics.DATASETS.labels("nothing").inc()
        raise NothingUsableError(
            f"nothing usable came out of {len(manifest.requested)} image sets: "
            f"{summary(missing or manifest.omissions)}",
            manifest.omissions,
        )
    if missing and not allow_omissions:
        metrics.DATASETS.labels("incomplete").inc()
        raise IncompleteError(
            f"the dataset lacks {len(missing)} of what was asked for: "
            f"{summary(missing)}. Allow omissions to go on without",
            manifest.omissions,
        )


def find_existing(
    directory: Path, request: RunRequest, split: SplitRule
) -> DatasetManifest | None:
    """The complete dataset of this very request, if the directory holds it.

    Raises:
        UsageError: it holds a dataset of another request, or a damaged one.
    """
    path = directory / MANIFEST_NAME
    if not path.exists():
        return None
    manifest = parse_dataset(path.read_bytes(), source=str(path))
    if (
        manifest.datastore_id != request.datastore_id
        or manifest.requested != request.image_sets
        or manifest.splits != policy(split.salt, split.ratios)
    ):
        raise UsageError(
            f"{directory} holds a dataset of another request or another split: "
            "choose an empty directory"
        )
    for entry in manifest.image_sets:
        for array in entry.arrays:
            file = directory / array.path
            if not file.is_file() or sha256_of(file) != array.sha256:
                raise UsageError(
                    f"{file} is not what its manifest says: empty the directory and "
                    "fetch again"
                )
    return manifest


def remove_leavings(directory: Path) -> None:
    """Remove arrays that a fetch without a manifest left; nothing else."""
    for folder in directory.iterdir():
        if not (folder.is_dir() and len(folder.name) == _ID_LENGTH):
            continue
        for pattern in ("*.npy", f"*.npy{PART}*"):
            for file in folder.glob(pattern):
                file.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()


def _fetch_all(
    image_sets: ImageSetFetch,
    refs: Sequence[ImageSetRef],
    progress: Progress,
    in_flight: int,
) -> list[ImageSetResult]:
    def one(ref: ImageSetRef) -> ImageSetResult:
        result = image_sets.fetch(ref)
        progress.image_set()
        for item in result.omissions:
            metrics.OMISSIONS.labels(item.reason.value).inc()
            log.warning(
                "omitted: %s",
                item.message,
                extra={
                    "image_set_id": item.image_set_id,
                    "sop_instance_uid": item.sop_instance_uid,
                    "reason": item.reason.value,
                },
            )
        return result

    with ThreadPoolExecutor(in_flight, thread_name_prefix="image-set") as threads:
        futures = [threads.submit(one, ref) for ref in refs]
        try:
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in ended:
                future.result()
            return [future.result() for future in futures]
        except BaseException:
            # Also an interrupt of this thread: the others must not go on for hours.
            image_sets.abort()
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _manifest(
    request: RunRequest, results: Sequence[ImageSetResult], split: SplitRule
) -> DatasetManifest:
    entries = tuple(r.entry for r in results if r.entry is not None)
    omissions: tuple[Omission, ...] = tuple(o for r in results for o in r.omissions)
    return DatasetManifest(
        datastore_id=request.datastore_id,
        requested=request.image_sets,
        image_sets=entries,
        omissions=omissions,
        splits=policy(split.salt, split.ratios),
        digest=digest_of(array for entry in entries for array in entry.arrays),
    )


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep a second fetch out of the directory; the lock dies with the process.

    Raises:
        UsageError: another process is fetching into it.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another process is fetching into {directory}") from error
        yield
    finally:
        os.close(handle)
