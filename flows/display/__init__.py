"""What people see of a run and of a campaign: at the terminal, on Prefect's pages, and in pages of the dataset."""
