"""What came but can't be stored: kept apart, with the reason, until someone decides."""
