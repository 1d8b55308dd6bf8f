"""Architectures and modules: columns, data flow, graphs, features, and how they are called."""
