"""The closed loop: candidates are handed out, measured anywhere, and told; their results join the data."""
