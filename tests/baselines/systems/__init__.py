"""The systems against their official code: stored arrays, rebuilt weights, layouts.

`tests/data/systems` holds `<system>_vectors.npz`, `<system>_layouts.json` and `cases.json`, which says for each case
what the arrays do not (suffix of the weight rule, seeds, sizes, labels). SENM_VECTORS names another such folder.
One module a system here has `compute(case) -> {array name: value}`; `python -m tests.baselines.systems` counts them.
"""
