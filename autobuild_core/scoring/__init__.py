"""Expectations over a search space and how sure they are."""
