"""Credit models, pure: arrays and frames in, arrays and frames out. No orchestrator and no database in here.

Start at `registry`: `run_models` and `credit_table`. `assets_api` serves the warehouse.
"""
