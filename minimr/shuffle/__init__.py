"""How pairs travel from map to reduce: encode, partition, store, merge."""
