"""Image chips beside the land cover: Sentinel-2 scenes from a STAC catalogue, or the user's own chips, by name."""
