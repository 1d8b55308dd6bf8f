"""The target of learning as one object, its scale, noise, costs, and the words that metrics are called by."""
