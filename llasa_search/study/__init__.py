"""Quality against compute: texts x strategies x budgets x seeds, scored by judges that no search uses.

Cases (`cases`) and arms (`plan`) go into a `Study` (`runs`), which returns rows. From rows come outcomes with
intervals and tests (`outcomes`), best-of-n curves (`curves`), costs (`costs`), points (`points`), tables and
plots. `ablation` is the study behind `llasa-search study`. Scoring one list of recordings is in
`llasa_search.evaluation`.

from llasa_search.study import Arm, Study, read_cases
from llasa_search.study import curves, outcomes

study = Study("work", judges={"words": "pocketsphinx_wer"})
pool = Arm("best of n", "best_of_n:n=16", verifiers="wer", pool=True)
rows = study.rows(read_cases("standard"), [pool])
outcomes.rate(curves.best_of(rows, "words", n=4))
"""

from llasa_search.study.cases import Case, read_cases
from llasa_search.study.plan import Arm, Row, usable_cases
from llasa_search.study.runs import Study

__all__ = ["Arm", "Case", "Row", "Study", "read_cases", "usable_cases"]
