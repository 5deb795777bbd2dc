"""One image set: wait until it is ACTIVE, plan, fetch, write its arrays."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from isocenter.core.dataset import (
    ArrayFile,
    FrameRecord,
    ImageSetEntry,
    Omission,
    OmissionReason,
)
from isocenter.core.errors import (
    AwsError,
    IsocenterError,
    MalformedError,
    NotFoundError,
)
from isocenter.core.healthimaging.answers import ImageSetState
from isocenter.core.healthimaging.image_set import (
    ImageSetMetadata,
    parse_metadata,
    text,
)
from isocenter.core.run_request import ImageSetRef
from isocenter.fetcher.array_file import ArrayFileWriter
from isocenter.fetcher.decode import is_decodable
from isocenter.fetcher.download import FrameDownloader, FrameOutcome, reason_of
from isocenter.fetcher.errors import InterruptedFetchError
from isocenter.fetcher.frame_work import FrameWork
from isocenter.fetcher.pixels import photometric
from isocenter.fetcher.plan import ArrayPlan, plan_image_set
from isocenter.fetcher.progress import Progress
from isocenter.fetcher.splits import patient_key, split_of

log = logging.getLogger(__name__)

_FINAL_STATES = frozenset({"DELETED"})
_FIRST_POLL = 1.0
_LONGEST_POLL = 15.0


@dataclass(frozen=True)
class SplitRule:
    """Key and shares of the split by patient."""

    salt: str
    ratios: tuple[float, float, float]


@dataclass(frozen=True)
class ImageSetResult:
    """What became of one image set; no entry if not one array came out of it."""

    entry: ImageSetEntry | None
    omissions: tuple[Omission, ...]


class ImageSetFetch:
    """Fetches image sets of one data store into one directory.

    Args:
        downloader: fetches the frames.
        datastore_id: data store.
        directory: the dataset's.
        split: how patients are split.
        lock_wait: longest wait in seconds for an image set that is not ACTIVE.
        progress: is told of frames.
    """

    def __init__(
        self,
        downloader: FrameDownloader,
        *,
        datastore_id: str,
        directory: Path,
        split: SplitRule,
        lock_wait: float,
        progress: Progress,
    ) -> None:
        self._downloader = downloader
        self._datastore_id = datastore_id
        self._directory = directory
        self._split = split
        self._lock_wait = lock_wait
        self._progress = progress
        self._aborted = threading.Event()

    def abort(self) -> None:
        """End the fetches under way with InterruptedFetchError."""
        self._aborted.set()

    def fetch(self, ref: ImageSetRef) -> ImageSetResult:
        """Fetch one image set; what it lacks is an omission, not an error.

        Raises:
            OSError: the file system refused a write.
            DecoderLostError, InterruptedFetchError: the downloader ended.
        """
        try:
            state = self._await_active(ref)
            if not state.readable:
                return _nothing(
                    ref,
                    OmissionReason.IMAGE_SET_NOT_ACTIVE,
                    f"it is {state.state} ({state.workflow_status})",
                )
            metadata = self._metadata(ref, state.version_id)
        except NotFoundError as error:
            return _nothing(ref, OmissionReason.IMAGE_SET_NOT_FOUND, str(error))
        except MalformedError as error:
            return _nothing(ref, OmissionReason.METADATA_MALFORMED, str(error))
        except AwsError as error:
            return _nothing(ref, reason_of(error), str(error))
        return self._fetch_frames(ref, state, metadata)

    def _await_active(self, ref: ImageSetRef) -> ImageSetState:
        """GetImageSet until it is ACTIVE, for as long as is allowed."""
        give_up = time.monotonic() + self._lock_wait
        pause = _FIRST_POLL
        while True:
            state = self._downloader.retrying(
                lambda: self._downloader.source.image_set(
                    self._datastore_id, ref.id, ref.version_id
                ),
                on_retry=partial(_log_retry, ref.id),
            )
            left = give_up - time.monotonic()
            if state.readable or state.state in _FINAL_STATES or left <= 0:
                return state
            log.info(
                "image set is not ACTIVE yet",
                extra={"image_set_id": ref.id, "status": state.state},
            )
            self._check_aborted()
            self._downloader.rest(min(pause, left))
            pause = min(2 * pause, _LONGEST_POLL)

    def _check_aborted(self) -> None:
        if self._aborted.is_set():
            raise InterruptedFetchError("another image set of the dataset failed")

    def _metadata(self, ref: ImageSetRef, version_id: str) -> ImageSetMetadata:
        document = self._downloader.retrying(
            lambda: self._downloader.source.metadata(
                self._datastore_id, ref.id, version_id
            ),
            on_retry=partial(_log_retry, ref.id),
        )
        return parse_metadata(document)

    def _fetch_frames(
        self, ref: ImageSetRef, state: ImageSetState, metadata: ImageSetMetadata
    ) -> ImageSetResult:
        plan = plan_image_set(metadata, ref.id, is_decodable)
        self._progress.planned(plan.frames)
        arrays, missing = self._fetch_arrays(ref.id, plan.arrays)
        omissions = (*plan.omissions, *missing)
        if not arrays:
            return ImageSetResult(None, omissions)
        study_uid = text(metadata.study, "StudyInstanceUID") or ""
        key = patient_key(
            self._split.salt,
            text(metadata.patient, "PatientID"),
            text(metadata.patient, "IssuerOfPatientID"),
            study_uid,
        )
        uids = dict.fromkeys(a.series_instance_uid for a in plan.arrays)
        modalities = [text(metadata.series[uid], "Modality") for uid in uids]
        entry = ImageSetEntry(
            image_set_id=ref.id,
            version_id=state.version_id,
            study_instance_uid=study_uid,
            series_instance_uids=tuple(uids),
            modality=modalities[0],
            patient_key=key,
            split=split_of(key, self._split.ratios),
            arrays=tuple(arrays),
        )
        return ImageSetResult(entry, omissions)

    def _fetch_arrays(
        self, image_set_id: str, plans: Sequence[ArrayPlan]
    ) -> tuple[list[ArrayFile], list[Omission]]:
        """All arrays of an image set, without the slices that could not be had."""
        writers: list[ArrayFileWriter] = []
        try:
            writers += (_writer(self._directory, plan) for plan in plans)
            outcomes = self._downloader.fetch(
                self._datastore_id,
                image_set_id,
                [
                    work
                    for plan, writer in zip(plans, writers, strict=True)
                    for work in _works(plan, writer)
                ],
                before=self._check_aborted,
                after=lambda outcome: self._progress.frame(outcome.stored_bytes),
            )
        except BaseException:
            for writer in writers:
                writer.discard()
            raise
        arrays: list[ArrayFile] = []
        omissions: list[Omission] = []
        in_order = iter(outcomes)
        for plan, writer in zip(plans, writers, strict=True):
            own = list(islice(in_order, len(plan.slices)))
            omissions += _frame_omissions(image_set_id, plan, own)
            if any(outcome.failure is None for outcome in own):
                arrays.append(_finish(plan, writer, own))
            else:
                writer.discard()
        return arrays, omissions


def _writer(directory: Path, plan: ArrayPlan) -> ArrayFileWriter:
    shape = (len(plan.slices), *plan.pixels.shape)
    return ArrayFileWriter.create(directory / plan.path, shape, plan.dtype)


def _works(plan: ArrayPlan, writer: ArrayFileWriter) -> Iterator[tuple[str, FrameWork]]:
    applied = plan.rescale is None
    for index, item in enumerate(plan.slices):
        yield (
            item.frame.id,
            FrameWork(
                syntax=item.syntax,
                pixels=item.pixels,
                crc32=item.frame.crc32,
                apply=item.rescale if applied else None,
                slot=writer.slot(index),
            ),
        )


def _finish(
    plan: ArrayPlan, writer: ArrayFileWriter, outcomes: list[FrameOutcome]
) -> ArrayFile:
    """Make an array durable under its name and describe it."""
    failed = frozenset(i for i, o in enumerate(outcomes) if o.failure is not None)
    rescale = plan.rescale
    if failed:
        writer = writer.keep(i for i in range(len(outcomes)) if i not in failed)
        plan = plan.without(failed)
        outcomes = [outcome for outcome in outcomes if outcome.failure is None]
    size, digest = writer.finish()
    geometry = plan.geometry
    return ArrayFile(
        path=plan.path,
        bytes=size,
        sha256=digest,
        shape=writer.shape,
        dtype=writer.dtype,
        axes="zyx" if plan.pixels.samples == 1 else "zyxc",
        spacing=geometry.spacing,
        origin=geometry.origin,
        direction=geometry.direction,
        uniform=geometry.uniform,
        rescale_slope=rescale.slope if rescale else 1.0,
        rescale_intercept=rescale.intercept if rescale else 0.0,
        series_instance_uid=plan.series_instance_uid,
        photometric_interpretation=photometric(plan.slices[0].syntax, plan.pixels),
        frames=tuple(
            FrameRecord(
                frame_id=item.frame.id,
                sop_instance_uid=item.sop_instance_uid,
                frame_number=item.frame_number,
                crc32=outcome.crc32 or 0,
                verified=item.frame.crc32 is not None,
            )
            for item, outcome in zip(plan.slices, outcomes, strict=True)
        ),
    )


def _frame_omissions(
    image_set_id: str, plan: ArrayPlan, outcomes: Sequence[FrameOutcome]
) -> Iterator[Omission]:
    for item, outcome in zip(plan.slices, outcomes, strict=True):
        if outcome.failure is None:
            continue
        reason, words = outcome.failure
        yield Omission(
            image_set_id=image_set_id,
            sop_instance_uid=item.sop_instance_uid,
            frame_number=item.frame_number,
            reason=reason,
            message=f"frame {item.frame_number} of instance {item.sop_instance_uid} "
            f"({item.frame.id}): {words}",
        )


def _log_retry(image_set_id: str, attempt: int, error: IsocenterError) -> None:
    log.warning(
        "image set is read again",
        extra={"image_set_id": image_set_id, "error": str(error), "attempt": attempt},
    )


def _nothing(ref: ImageSetRef, reason: OmissionReason, words: str) -> ImageSetResult:
    omission = Omission(image_set_id=ref.id, reason=reason, message=words)
    return ImageSetResult(None, (omission,))
