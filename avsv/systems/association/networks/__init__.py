"""Networks that map voices and faces to one space, one family per file."""
