"""Sound and pictures from files. No torch here."""
