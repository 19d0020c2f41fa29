"""The REST contract over HTTP."""
