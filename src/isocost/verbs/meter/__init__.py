"""A plan beside what its run did."""
