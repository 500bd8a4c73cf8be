"""Sweeps, tables of runs, studies and the report."""
