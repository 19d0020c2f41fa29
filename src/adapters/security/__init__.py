"""Secrets: how passwords are hashed, tokens signed, and readers known by a pseudonym."""
