"""Should I trust this? The statistics, the label-permutation check and the report of them."""
