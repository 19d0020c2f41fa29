"""Honest in-memory adapters: they keep the sentences of `application.ports`, as the contract suites show."""
