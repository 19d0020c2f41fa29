"""How far annotators agree, worked out by NumPy in a process of its own."""
