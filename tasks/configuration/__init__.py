"""The configuration of a campaign: read, checked, and shown without its secrets."""

from tasks.configuration.captioners import Captioner, Endpoint, Price, Quota, Recipe, Subset
from tasks.configuration.loading import load, load_for_worker
from tasks.configuration.masking import mask_text
from tasks.configuration.models import (
    PUBLIC_BUCKET,
    Campaign,
    ChipImagery,
    Cluster,
    Imagery,
    LandCover,
    Sample,
    Splits,
    StacImagery,
    Tiles,
)

__all__ = [
    "PUBLIC_BUCKET",
    "Campaign",
    "Captioner",
    "ChipImagery",
    "Cluster",
    "Endpoint",
    "Imagery",
    "LandCover",
    "Price",
    "Quota",
    "Recipe",
    "Sample",
    "Splits",
    "StacImagery",
    "Subset",
    "Tiles",
    "load",
    "load_for_worker",
    "mask_text",
]
