"""DICOM Store SCP: association to durable spool to S3 batches."""
