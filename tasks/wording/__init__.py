"""From counts to words: what a model is told of a tile, and what the rules captioner says of it."""
