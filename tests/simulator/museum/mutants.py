"""All exhibits, wing by wing."""

from tests.simulator.museum.attempts import ATTEMPTS
from tests.simulator.museum.commits import COMMITS
from tests.simulator.museum.gangs import GANGS
from tests.simulator.museum.outputs import OUTPUTS
from tests.simulator.museum.restarts import RESTARTS
from tests.simulator.museum.workers import WORKERS

MUTANTS = COMMITS + OUTPUTS + ATTEMPTS + WORKERS + RESTARTS + GANGS
