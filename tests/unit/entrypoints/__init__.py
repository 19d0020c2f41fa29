"""How what comes from outside is read."""
