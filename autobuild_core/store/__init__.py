"""Files and SQLite: tables, run folders, the workspace with its registry, pinned claims."""
