"""Which tiles a campaign describes: the grid, the area, the sample and the splits."""
