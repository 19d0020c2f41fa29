"""What somebody gets who invents, guesses and floods: attacks as programs against a service as it is delivered."""
