"""The verbs of `avsv`, one short module each: arguments, one library call, what the user sees."""
