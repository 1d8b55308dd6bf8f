"""The pages: choose -> load -> draw -> explain. `app.py` runs them; `_shared.py` holds what they share."""
