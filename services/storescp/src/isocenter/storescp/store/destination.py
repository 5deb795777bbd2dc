"""Where a batch goes in S3, and the keys of what is in it. Pure."""

from pydantic import BaseModel, ConfigDict


class Destination(BaseModel):
    """Fixed when a batch is opened, whatever the settings become.

    Attributes:
        bucket: S3 bucket.
        datastore: HealthImaging data store that the batch is for.
        dicom_prefix: of instances.
        batches_prefix: of manifests.
        metadata_prefix: of DICOM JSON; None if none is made.
        add_studyuid_prefix: whether the Study Instance UID is a folder of the key.
        gzip: whether objects are compressed.
    """

    model_config = ConfigDict(frozen=True)

    bucket: str
    datastore: str
    dicom_prefix: str
    batches_prefix: str
    metadata_prefix: str | None = None
    add_studyuid_prefix: bool = False
    gzip: bool = False

    def instance_key(self, batch: str, stem: str, study_instance_uid: str) -> str:
        """Key of an instance's object.

        Args:
            batch: batch id.
            stem: SOP Instance UID; with a hash behind it, if that was taken.
            study_instance_uid: of the instance.
        """
        end = ".dcm.gz" if self.gzip else ".dcm"
        return (
            f"{self.dicom_prefix}{self._within(batch, stem, study_instance_uid)}{end}"
        )

    def metadata_key(
        self, batch: str, stem: str, study_instance_uid: str
    ) -> str | None:
        """Key of an instance's DICOM JSON, None if none is made."""
        if self.metadata_prefix is None:
            return None
        end = ".json.gz" if self.gzip else ".json"
        within = self._within(batch, stem, study_instance_uid)
        return f"{self.metadata_prefix}{within}{end}"

    def manifest_key(self, batch: str) -> str:
        """Key of a batch's manifest."""
        return f"{self.batches_prefix}{batch}.json"

    def _within(self, batch: str, stem: str, study_instance_uid: str) -> str:
        if self.add_studyuid_prefix:
            return f"{batch}/{study_instance_uid}/{stem}"
        return f"{batch}/{stem}"
