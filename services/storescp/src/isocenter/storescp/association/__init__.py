"""Associations (PS3.8): how they are negotiated, read and ended."""
