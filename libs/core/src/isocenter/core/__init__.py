"""What two or more isocenter processes use, and nothing else."""
