"""What is learned: the target as one object, its scale, its noise, costs, and the words that metrics are called by."""
