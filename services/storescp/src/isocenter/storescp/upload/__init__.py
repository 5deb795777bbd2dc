"""From the spool to S3: requests, retries, and the threads that drain the spool."""
