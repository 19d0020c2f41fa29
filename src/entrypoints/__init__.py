"""Who may ask, and in what tongue: HTTP and the command line, over one container."""
