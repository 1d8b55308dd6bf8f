"""What an architecture and a module are: columns, data flow, graphs, features, and how they are called."""
