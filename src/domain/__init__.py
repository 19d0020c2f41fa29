"""What is true: entities, their rules and their errors. Standard library only."""
