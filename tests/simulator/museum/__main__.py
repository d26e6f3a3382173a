"""python -m tests.simulator.museum [NAME ...]"""

import sys

from tests.simulator.museum.mutants import MUTANTS
from tests.simulator.museum.run import hunt_all
from tests.simulator.museum.table import PAGE, page, row


def main(names: list[str]) -> int:
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        print(f"no mutant is called {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    verdicts = []
    for verdict in hunt_all(each for each in MUTANTS if not names or each.name in names):
        print(row(verdict), flush=True)
        verdicts.append(verdict)
    survivors = sum(verdict.seed is None for verdict in verdicts)
    spent_s = sum(verdict.spent_s for verdict in verdicts)
    print(f"{len(verdicts)} mutants, {survivors} alive, {spent_s:.1f} s", file=sys.stderr)
    if not names:
        PAGE.write_text(page(verdicts), "utf-8")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
