"""A probe of one GPU: real architectures trained for some steps, as rows of evidence."""
