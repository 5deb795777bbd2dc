"""What reception asks of S3: whether it has an object and, by setting, to take one."""

from typing import Protocol

from isocenter.core.batch import StoredInstance
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.store.names import SpoolName


class InstanceStore(Protocol):
    """S3, for reception; safe for threads."""

    def has(self, bucket: str, key: str) -> bool:
        """Whether there is an object of that key.

        Raises:
            AwsError: S3 does not say.
        """

    def put(
        self,
        destination: Destination,
        batch: str,
        name: SpoolName,
        path: str,
        instance: StoredInstance,
    ) -> StoredInstance:
        """Put an instance, and what its batch has beside it.

        Args:
            destination: of the batch.
            batch: batch id.
            name: of the instance.
            path: its file.
            instance: its record; the key is the object's.

        Returns:
            The record of what lies in S3: other bytes, if the batch is compressed.

        Raises:
            AwsError: S3 did not take it.
            OSError: the file can't be read.
        """
