"""Land-cover maps: their class tables, where they lie, and how their pixels are read."""
