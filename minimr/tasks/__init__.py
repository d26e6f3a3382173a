"""One attempt, from start to end: inputs in, outputs out. Serial runner and slots both run this."""
