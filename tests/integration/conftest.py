"""Servers that integration tests share."""

from __future__ import annotations

from postgres_server import postgres

__all__ = ["postgres"]
