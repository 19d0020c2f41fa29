"""Tables written piece by piece: a batch of rows in, bytes out, nothing kept but what the format needs."""
