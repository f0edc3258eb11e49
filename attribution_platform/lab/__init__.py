"""The truth lab: credit models scored on simulated worlds whose causal effects are known.

Start at `run.run_lab`. `worlds` says what is seen and what was kept apart, `score` measures, `peers` brings in other
libraries where they are installed, `results` holds the measurements that ship with the product.
"""
