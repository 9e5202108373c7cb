"""The URLs of declined payments that are won back: a part of the table in routes.py."""

from scrooge.api import recoveries
from scrooge.api import recovery_answers as a
from scrooge.api.call import Route

READ = "payments:read"

# fmt: off
RECOVERY_ROUTES = (
    Route(method="GET", path="/v1/recoveries", handler=recoveries.several, scope=READ, query=a.RecoveryFilter,
          answers={200: a.RecoveryList}, summary="List declined payments that are tried again, or were, newest first"),
    Route(method="GET", path="/v1/recoveries/summary", handler=recoveries.summary, scope=READ, query=a.Opened,
          answers={200: a.RecoverySummary}, summary="How many declined payments were won back, and their worth"),
)
# fmt: on
