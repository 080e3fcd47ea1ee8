"""The doctor: where the MFU of a measured run goes, and which changes would raise it."""
