"""Which runs used a study, by the dataset manifests that runs leave in S3."""
