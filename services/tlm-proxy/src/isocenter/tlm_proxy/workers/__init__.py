"""Several worker processes behind one port that act as one towards HealthImaging."""
