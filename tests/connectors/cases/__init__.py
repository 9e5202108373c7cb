"""What each PSP says and what it means, as tables: one module a connector."""

from .adyen import ADYEN_CASES
from .stripe import STRIPE_CASES

CASES = {found.connector.name: found for found in (STRIPE_CASES, ADYEN_CASES)}
