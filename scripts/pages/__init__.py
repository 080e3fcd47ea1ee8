"""What writes the generated pages of docs/ and the tables of the README: ``make pages``."""
