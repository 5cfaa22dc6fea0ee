"""Review by people: a page on which captions are accepted, edited and rejected, each beside its map."""
