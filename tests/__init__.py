"""Everything that is tested, in the order of how much it needs: unit, contracts, integration, e2e."""
