"""The pages: choose -> load -> draw -> explain. `app.py` runs them; `None.py` holds what they share."""
