"""What can be done: one class a use case, and the ports that they need."""
