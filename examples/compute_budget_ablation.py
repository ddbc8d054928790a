"""Compares best-of-n with another strategy at several budgets: `python examples/compute_budget_ablation.py`.

`llasa-search study` does the same with plots, a report and a choice of temperature. Searches are kept in the
folder: a second run only repeats the statistics.
"""

from llasa_search import Sampling
from llasa_search.study import Arm, Study, curves, outcomes, read_cases
from llasa_search.study.points import arm_point, pool_points
from llasa_search.study.tables import markdown

if __name__ == "__main__":  # several processes import this file again
    # The judge takes no part in the searches, and is of another model family than their verifier.
    study = Study("work-example", judges={"words": "WER(model='tiny-ctc')"}, processes=1)
    sampling = Sampling(temperature=0.6)
    pool = Arm("best of n", "best_of_n:n=4", "wer + 0 * likelihood", sampling=sampling, pool=True)
    rejection = Arm("rejection", "rejection:n=4", "wer", sampling=sampling)
    rows = study.by_arm(read_cases("dev", limit=3), [pool, rejection])

    points = pool_points(rows["best of n"], "words", [1, 2, 4])
    points.append(arm_point(rows["rejection"], "words", rows["best of n"]))
    print(markdown(points, "judged WER"))

    # What another verifier, and the judge itself, would have chosen from the same pool.
    for name, by in (("likelihood", curves.by("likelihood")), ("oracle", curves.oracle("words"))):
        print(name, outcomes.rate(curves.best_of(rows["best of n"], "words", 4, by)))
