"""What only real PostgreSQL can show."""
