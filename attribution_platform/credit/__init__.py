"""Credit models, pure: arrays and frames in, arrays and frames out. No orchestrator and no database in here.

Start at `registry`: `credit_from_paths` for the warehouse's distinct paths, `run_models` for anything else.
"""
