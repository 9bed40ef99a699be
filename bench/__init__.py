"""Benchmarks: figures of one run on one machine, each beside a reference that the same run measured."""
