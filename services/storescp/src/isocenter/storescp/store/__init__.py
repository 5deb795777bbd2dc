"""What was received: checked, durable, in batches, and found again after any end."""
