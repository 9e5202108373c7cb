"""The URLs of batches: a part of the table in routes.py."""

from scrooge import errors as e
from scrooge.api import batch_answers as ba
from scrooge.api import batch_bodies as bb
from scrooge.api import batches
from scrooge.api.call import Route

READ, WRITE, BATCH = "batches:read", "batches:write", "/v1/batches/{batch}"
CHANGED = (e.NotFound, e.BatchStatusConflict)

# fmt: off
BATCH_ROUTES = (
    Route(method="POST", path="/v1/batches", handler=batches.create, scope=WRITE, body=bb.CreateBatch,
          answers={201: ba.Batch}, idempotent=True,
          problems=(e.IdempotencyKeyMissing, e.IdempotencyKeyReused, e.RequestInProgress, e.UnknownConnectorAccount),
          summary="Make a batch of merchant-initiated payments, to be given its input and started"),
    Route(method="GET", path="/v1/batches", handler=batches.several, scope=READ, query=bb.BatchFilter,
          answers={200: ba.BatchList}, summary="List batches, newest first"),
    Route(method="GET", path=BATCH, handler=batches.read, scope=READ, answers={200: ba.Batch}, problems=(e.NotFound,),
          summary="Read a batch: its status, its counts, when it will be done"),
    Route(method="PUT", path=f"{BATCH}/input", handler=batches.put_input, scope=WRITE, query=bb.InputPlace,
          answers={200: ba.Batch}, streamed=True,
          problems=(e.NotFound, e.UnsupportedMediaType, e.InputDiffers, e.InputOutOfPlace, e.InputMoved,
                    e.InputTooLarge, e.TooManyUploads),
          summary="Upload its lines as NDJSON, or what is missing of them; each is checked, and nothing is sent yet"),
    Route(method="POST", path=f"{BATCH}/start", handler=batches.start, scope=WRITE, body=bb.ChangeBatch,
          answers={200: ba.Batch}, problems=(*CHANGED, e.BatchWindowClosed),
          summary="Send it, within its window"),
    Route(method="POST", path=f"{BATCH}/pause", handler=batches.pause, scope=WRITE, body=bb.ChangeBatch,
          answers={200: ba.Batch}, problems=CHANGED, summary="Begin no more payments for now"),
    Route(method="POST", path=f"{BATCH}/resume", handler=batches.resume, scope=WRITE, body=bb.ChangeBatch,
          answers={200: ba.Batch}, problems=(*CHANGED, e.BatchWindowClosed), summary="Go on where it was paused"),
    Route(method="POST", path=f"{BATCH}/cancel", handler=batches.cancel, scope=WRITE, body=bb.ChangeBatch,
          answers={200: ba.Batch}, problems=CHANGED,
          summary="Begin no more payments, ever; those on the way come to their end"),
    Route(method="GET", path=f"{BATCH}/results", handler=batches.results, scope=READ, query=bb.AfterLine,
          answers={200: None}, problems=(e.NotFound,),
          summary="Read what became of its lines as NDJSON, in order, up to the first that has not ended"),
    Route(method="GET", path=f"{BATCH}/existing", handler=batches.existing, scope=READ, query=bb.AfterLine,
          answers={200: None}, problems=(e.NotFound,),
          summary="Read the lines that charge nothing, as their references were used when they came in, as NDJSON"),
    Route(method="GET", path=f"{BATCH}/errors", handler=batches.errors, scope=READ, query=bb.AfterLine,
          answers={200: None}, problems=(e.NotFound,),
          summary="Read what is wrong with lines as NDJSON, in order"),
)
# fmt: on
