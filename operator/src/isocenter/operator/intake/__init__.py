"""Intake: AWS's events and a periodic sweep become custom resources."""
