"""Benchmarks: ``python -m tests.benchmarks [NAME...]``; docs/reference/benchmarks.md says what each one measures."""
