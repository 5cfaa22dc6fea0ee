"""The work of a campaign: what each step does, as pure functions over arrays and tables."""
