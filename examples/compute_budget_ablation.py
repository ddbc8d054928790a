"""Compares best-of-N with another strategy at several budgets: `python examples/compute_budget_ablation.py`.

`llasa-search study` does the same with plots, a report and a choice of temperature. The folder stores the searches, so
a second run only computes the statistics.
"""

from llasa_search import Sampling
from llasa_search.study import Arm, Study, curves, outcomes, read_cases
from llasa_search.study.points import arm_point, pool_points
from llasa_search.study.tables import markdown

if __name__ == "__main__":  # other processes import this file
    # The judge takes no part in the searches and belongs to another model family than their verifier.
    study = Study("work-example", judges={"ctc": "WER(model='tiny-ctc')"}, processes=1)
    sampling = Sampling(temperature=0.6)
    pool = Arm("best of n", "best_of_n:n=4", "wer + 0 * likelihood", sampling=sampling, pool=True)
    rejection = Arm("rejection", "rejection:n=4", "wer", sampling=sampling)
    rows = study.by_arm(read_cases("dev", limit=3), [pool, rejection])

    points = pool_points(rows["best of n"], "ctc", [1, 2, 4])
    points.append(arm_point(rows["rejection"], "ctc", rows["best of n"]))
    print(markdown(points, "WER (judge)"))

    # These are the choices of another verifier and of the judge itself from the same pool.
    for name, key in (("likelihood", curves.by("likelihood")), ("oracle", curves.oracle("ctc"))):
        print(name, outcomes.rate(curves.best_of(rows["best of n"], "ctc", 4, key)))
