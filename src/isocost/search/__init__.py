"""From a question to a plan: legal layouts, memory and time of each, and the choice among them."""
