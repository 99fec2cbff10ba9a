"""The verbs of `avsv`, one short module each: arguments, one library call, output for the user."""
