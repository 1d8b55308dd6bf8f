"""Background work: a queue, processes of their own, and the kinds of jobs that they do."""
