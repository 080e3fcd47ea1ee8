"""An answer that was saved, shown again."""
