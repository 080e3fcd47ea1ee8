"""The verbs: a folder a question. ``ask`` takes plain arguments, ``answer`` is what comes back."""
