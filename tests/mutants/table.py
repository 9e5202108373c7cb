"""All deliberate bugs."""

from tests.mutants.authentication import AUTHENTICATION
from tests.mutants.canaries import CANARIES
from tests.mutants.capture import CAPTURE
from tests.mutants.core import CORE
from tests.mutants.fees import FEES
from tests.mutants.fills import FILLED
from tests.mutants.flows import FLOWS
from tests.mutants.hop import HOP
from tests.mutants.increments import INCREMENTS
from tests.mutants.instruments import INSTRUMENTS
from tests.mutants.intake import TAKEN_IN
from tests.mutants.keeping import KEEPING
from tests.mutants.keys import KEPT
from tests.mutants.late import UNWANTED
from tests.mutants.later import LATER
from tests.mutants.limits import LIMITS
from tests.mutants.mandates import MANDATES
from tests.mutants.nowhere import NOWHERE
from tests.mutants.operators import OPERATORS
from tests.mutants.outside import OUTSIDE
from tests.mutants.reattempts import REATTEMPTS
from tests.mutants.recoveries import RECOVERIES
from tests.mutants.renewals import RENEWALS
from tests.mutants.risk import RISK
from tests.mutants.splits import SPLITS
from tests.mutants.steering import STEERING
from tests.mutants.storage import STORAGE
from tests.mutants.stored_value import STORED_VALUE
from tests.mutants.updated import UPDATED
from tests.mutants.verifications import VERIFICATIONS

MUTANTS = (
    *CORE,
    *HOP,
    *FILLED,
    *FLOWS,
    *UNWANTED,
    *LIMITS,
    *STORAGE,
    *STORED_VALUE,
    *OUTSIDE,
    *OPERATORS,
    *KEPT,
    *CAPTURE,
    *CANARIES,
    *INSTRUMENTS,
    *REATTEMPTS,
    *STEERING,
    *FEES,
    *NOWHERE,
    *KEEPING,
    *AUTHENTICATION,
    *LATER,
    *RISK,
    *INCREMENTS,
    *RENEWALS,
    *VERIFICATIONS,
    *TAKEN_IN,
    *MANDATES,
    *UPDATED,
    *SPLITS,
    *RECOVERIES,
)
