"""Whether what was taken from somebody is gone: races with a demotion, a deactivation, a changed password and a replay; and what the
time of a failed sign-in tells. `python -m tests.drills.access` runs them on services of their own.
"""
