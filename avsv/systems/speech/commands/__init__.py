"""The verbs of this system: each parses its arguments, calls one library function and reports the result."""
