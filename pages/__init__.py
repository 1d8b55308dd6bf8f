"""The pages: choose -> load -> draw -> explain. `app.py` runs them; docs/architecture.md lists their parts."""
