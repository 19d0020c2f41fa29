"""Every route asked by everybody, and what was answered compared with the table of permissions."""
