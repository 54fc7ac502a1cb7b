"""Private keys: one protocol; encrypted files; import and export."""
