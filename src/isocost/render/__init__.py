"""Answers as people and programs read them: text, Markdown, HTML, CSV and JSON from one definition each."""
