"""From counts to text: what a model is told of a tile, what is said of it, and where that is kept."""
