"""Counting hits against rate limits: in this process, or in Redis for all workers and replicas."""
