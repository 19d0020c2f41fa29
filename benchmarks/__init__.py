"""How fast the service is, as a share of what is possible here: `python -m benchmarks` from the root of the repository."""
