"""What is generated from the code, written or checked in one pass."""
