"""How it is done: one port, one library each."""
