"""Exports: tables as files, at once or to be kept and cited."""
