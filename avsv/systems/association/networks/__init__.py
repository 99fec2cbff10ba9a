"""Face-voice association: networks that bring voices and faces into one space, one family a file."""
