"""Storage Commitment Push Model as SCP (PS3.4 annex J)."""
