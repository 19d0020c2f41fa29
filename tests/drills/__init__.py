"""Long runs against a real service: too long for every test run, each a command of the Makefile that prints figures."""
