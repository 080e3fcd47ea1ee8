"""What failures do to a run: their rate, and the part of the time that is left.

Failures are a Poisson process. ``stops_per_s`` is that of the whole job; nodes multiply it, since one node stops all.
The running clock counts the seconds in which steps are made; on it lie the failures, the saves and the lost work.
``running_kept_frac`` says which part of it is kept, ``wall_per_running`` how much wall clock one second of it takes.
Together they are the exact renewal form; F3 to F5 of the literature are its limits and are registered beside it.
"""

from __future__ import annotations

import numpy as np

from isocost.num import Num, safe_div
from isocost.term import term

_RATE = (1e-8, 1e-4)
_TIMES = {"interval_s": (100.0, 4000.0), "save_s": (1.0, 60.0), "persist_s": (0.0, 600.0), "recovery_s": (60.0, 3000.0)}
_JOB = {"mttf_s": (3600.0, 1e6), **_TIMES}
_RATES = {"node_failures_per_s": (1e-8, 2e-7), "nodes": (1.0, 1024.0)}


def _growth(x: Num) -> Num:
    """(exp(x) - 1) / x, and 1 at x = 0: how much longer an uninterrupted stretch takes to obtain than to run."""
    return np.where(x == 0, 1.0, safe_div(np.expm1(x), x))[()]


@term(unit="1/s", source="daly2006", domain={**_RATES, "job_level_per_s": (0.0, 1e-4)})
def stops_per_s(*, nodes: Num, node_failures_per_s: Num, job_level_per_s: Num = 0.0) -> Num:
    """N r + j

    Rate at which a synchronous job stops. Rates of independent Poisson processes add (F16: so do pre-emptions).

    nodes: of the job, N. node_failures_per_s: that stop the job, of one node, r. job_level_per_s: that do not grow with
    the number of nodes, j: operators, data, loss spikes.
    Ignores: correlation; an event that takes many nodes is one stop.
    Source: daly2006.
    """
    return nodes * node_failures_per_s + job_level_per_s


@term(unit="s", source="daly2006", domain={"failures_per_s": _RATE})
def mean_time_to_failure_s(*, failures_per_s: Num) -> Num:
    """M = 1 / rate

    Mean time between stops of the job.

    failures_per_s: of the job.
    Source: daly2006.
    """
    return np.divide(1.0, failures_per_s)


@term(unit="ratio", source="kokolis2025", domain={**_RATES, **_TIMES})
def ettr_linear_frac(
    *, nodes: Num, node_failures_per_s: Num, recovery_s: Num, interval_s: Num, save_s: Num = 0.0
) -> Num:
    """(1 - N r (u + tau / 2)) / (1 + d / tau)

    Effective training time over wall clock to first order in the failure rate (F3). Half of an interval is lost and one
    recovery paid per failure. Below about 0.9 it is too low, and it goes negative where the exact form does not: it
    gives 0.684 where the renewal form has 0.721.

    nodes: N. node_failures_per_s: r. recovery_s: detection to first new step, u. interval_s: useful seconds between
    saves, tau. save_s: blocking part of a save, d.
    Source: kokolis2025, equation of the expected ETTR.
    """
    return np.divide(
        1.0 - nodes * node_failures_per_s * (recovery_s + np.divide(interval_s, 2.0)),
        1.0 + np.divide(save_s, interval_s),
    )


@term(unit="ratio", source="daly2006", domain=_JOB)
def ettr_renewal_frac(*, mttf_s: Num, recovery_s: Num, interval_s: Num, save_s: Num = 0.0) -> Num:
    """tau / ((M + u) (exp((tau + d) / M) - 1))

    Exact for exponential failures when none strikes during recovery (F4).

    mttf_s: M. recovery_s: u. interval_s: tau. save_s: d.
    Ignores: failures during recovery (``wall_per_running``), spread of the recovery time, which does not move the mean.
    Source: daly2006; renewal argument: each stretch of mean M keeps tau times the mean number of finished saves.
    """
    return np.divide(interval_s, (mttf_s + recovery_s) * np.expm1(np.divide(interval_s + save_s, mttf_s)))


@term(
    unit="ratio",
    source="derived, daly2006",
    domain={
        "lost_stops_per_s": _RATE,
        "memory_stops_per_s": _RATE,
        "interval_s": (600.0, 4000.0),
        "save_s": (0.0, 60.0),
        "persist_s": (0.0, 600.0),
        "memory_interval_s": (10.0, 100.0),
        "memory_save_s": (0.0, 1.0),
    },
)
def running_kept_frac(
    *,
    lost_stops_per_s: Num,
    interval_s: Num,
    save_s: Num = 0.0,
    persist_s: Num = 0.0,
    memory_stops_per_s: Num = 0.0,
    memory_interval_s: Num = 1.0,
    memory_save_s: Num = 0.0,
) -> Num:
    """tau rate / (exp(rate c) - 1) / exp(rate p), c = tau g + d, g = (exp(m (t + e)) - 1) / (m t)

    Part of the running clock that makes steps which are kept; the rest is saves and lost work. A save counts only once
    it has reached storage, p after it began: the first save after a restart is p late, all others lose p more on a
    stop. In front of it may stand a tier in the memory of peers, with its own short interval t and save e, for the
    stops it survives; to the tier behind, it looks like work that takes g times as long.

    lost_stops_per_s: stops that go back to storage. interval_s: tau. save_s: blocking part, d. persist_s: p.
    memory_stops_per_s: stops that go back to the memory tier only, m. memory_interval_s: t. memory_save_s: e.
    Ignores: the rounding of the memory tier's intervals to whole ones.
    Source: derived; with p = 0 and m = 0 the renewal factor of daly2006.
    """
    memory_cycle_s = memory_interval_s + memory_save_s
    dilation = np.divide(memory_cycle_s, memory_interval_s) * _growth(memory_stops_per_s * memory_cycle_s)
    cycle_s = interval_s * dilation + save_s
    stretched_s = cycle_s * _growth(lost_stops_per_s * cycle_s) * np.exp(lost_stops_per_s * persist_s)
    return np.divide(interval_s, stretched_s)


@term(
    unit="ratio",
    source="derived, daly2006",
    domain={"failures_per_s": _RATE, "handled_s": (60.0, 3000.0), "exposed_s": (60.0, 1000.0)},
)
def wall_per_running(*, failures_per_s: Num, handled_s: Num, exposed_s: Num) -> Num:
    """(1 + rate v) exp(rate w)

    Wall clock per second of the running clock. A stop is first handled for v on average (detected, diagnosed, queued:
    the job is down and cannot fail again), then the job starts for w, in which it can; then v is paid again. With w = 0
    and v = u this turns ``running_kept_frac`` into F4, with v = 0 and w = u into F5.

    failures_per_s: stops of the job. handled_s: mean, v. exposed_s: restart, reload and warm-up, w.
    Source: derived; daly2006 for the exposed part.
    """
    return (1.0 + failures_per_s * handled_s) * np.exp(failures_per_s * exposed_s)


@term(
    unit="1/s",
    source="derived, bekman2023",
    domain={"gpus_per_node": (1.0, 8.0), "age_s": (0.0, 1e7), "run_s": (1e5, 1e7), "decay_s": (1e6, 1e7)},
)
def early_life_failures_per_s(
    *, early_failure_frac: Num, gpus_per_node: Num, age_s: Num, run_s: Num, decay_s: Num
) -> Num:
    """g f (exp(-age / D) - exp(-(age + T) / D)) / T

    Mean rate per node, over the run, that infant mortality adds to the steady one: a part f of a new batch fails early,
    spread exponentially over a time D from first use.

    early_failure_frac: accelerators of a new batch that fail early, f. gpus_per_node: g. age_s: since first use at the
    start of the run. run_s: T. decay_s: D.
    Ignores: that burn-in removes the weakest before the run; start with the age after burn-in.
    Source: bekman2023 (3 to 10 % of a batch); the shape in time is derived.
    """
    decayed = np.exp(-np.divide(age_s, decay_s)) * -np.expm1(-np.divide(run_s, decay_s))
    return np.divide(gpus_per_node * early_failure_frac * decayed, run_s)


@term(unit="ratio", source="derived", domain={**_RATES, "repair_s": (1e4, 1e6)})
def nodes_in_repair(*, nodes: Num, node_failures_per_s: Num, repair_s: Num) -> Num:
    """N * r * MTTR

    Mean number of nodes out for repair; the number itself is Poisson with this mean (F14).

    nodes: of the job, N. node_failures_per_s: that take a node out, r. repair_s: until it is back, MTTR.
    Source: derived; M/G/infinity queue.
    """
    return nodes * node_failures_per_s * repair_s


@term(unit="s", source="memory", domain={"gpus": (1, 1e5), "reference_gpus": (1, 1e5)})
def bring_up_s(*, at_reference_s: Num, gpus: Num, reference_gpus: Num) -> Num:
    """at_reference sqrt(min(gpus / reference_gpus, 1))

    Queue, burn-in and first tuning before the first useful step. Published bring-ups are of clusters of thousands of
    GPUs; one node is at work within hours. In between nobody publishes: the root lies between a fixed time, however
    small the cluster, and one in proportion to the machines that have to be found sound.

    at_reference_s: on a cluster of ``reference_gpus`` or larger. gpus: of the run.
    Ignores: that later runs on the same cluster start in minutes: state the bring-up where the cluster is your own.
    Source: memory (judged; the two ends are the 8,192-GPU clusters of the facility facts and a single node).
    """
    return at_reference_s * np.sqrt(np.minimum(np.divide(gpus, reference_gpus), 1.0))
