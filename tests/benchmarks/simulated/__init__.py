"""A campaign of weeks in minutes: real processes and databases, and a clock that moves on when nobody has work."""
