"""The dataset in its published forms, from the tables: the same tables give the same bytes."""
