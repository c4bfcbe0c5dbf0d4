"""A plan side by side: `--workers N` on this machine, `--on ray` and `--on ray:HOST:PORT`."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.cluster.drive import Driver, Pool
from benchmarks.cluster.local import LocalPool
from benchmarks.cluster.resources import Resources, parse
from benchmarks.cluster.view import view
from benchmarks.cluster.worker import Job
from benchmarks.core.options import Options
from benchmarks.core.step import Step
from benchmarks.metrics.chosen import VARIABLE
from benchmarks.running.discard import discard
from senm.support.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.planning.plan import Plan
    from benchmarks.running.estimate import Estimate
    from benchmarks.running.runner import Outcome
    from benchmarks.running.steps import Bench
    from benchmarks.store.store import Store

PASSED = (VARIABLE, "CUBLAS_WORKSPACE_CONFIG", "TORCH_HOME")
GUESS = 1.0  # seconds of a step whose speed was never measured: only the order follows from it


def side_by_side(plan: Plan, store: Store, bench: Bench, options: Options, estimate: Estimate,
                 deterministic: bool) -> Outcome:
    """Run what the store lacks on worker processes or a cluster.

    Raises:
        SenmError: anything that stops the whole run.
    """
    resources = Resources(options.device, options.scale, parse(options.resources))
    if options.on == "local" and any(resources.of(step).gpu > 1 for step in plan.steps()):
        raise UsageError("a step on several GPUs with --workers", "--on ray, which gives each step GPUs of its own",
                         "--on ray in place of --workers")
    job = Job(
        store=str(store.root),
        data=tuple((name, str(data.folder.resolve())) for name, data in bench.data.items()),
        device=options.device,
        deterministic=deterministic,
        threads=options.threads or 1,
        scale=plan.scale.name,
        plugins=options.plugins,
        environment=tuple((name, os.environ[name]) for name in PASSED if name in os.environ),
    )
    pool: Pool
    shown = view(options.json)
    if options.on == "local":
        pool = LocalPool(job, options.workers)
    else:
        from benchmarks.cluster.on_ray import RayPool

        local = {path for step in plan.steps() for path in step.local.values()}
        see = [*(folder for _, folder in job.data), *sorted(local)]
        pool = RayPool(job, options.on.partition(":")[2], see)
        if pool.dashboard:
            shown.say(f"Ray's dashboard: {pool.dashboard}")

    def seconds(step: Step) -> float:
        found = estimate.seconds(step)
        return GUESS if found is None else max(found, 1e-3)

    made = partial(discard, plan=plan, store=store) if options.discard else None
    return Driver(store, pool, resources, seconds, shown, made).run(plan)
