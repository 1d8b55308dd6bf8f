"""From scores to architectures: what to evaluate next, and exact assembly of the best modules."""
