"""The verbs of this system: arguments, one library call, what the user sees."""
