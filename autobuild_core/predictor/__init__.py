"""The AutoBuild GNN and the Gaussian process beside it: an ensemble that predicts, with intervals, in numpy and torch."""
