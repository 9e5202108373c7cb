-- Raising an authorization: an operation of its own, whose parent is the authorization.

ALTER TABLE payments ADD COLUMN incremental boolean NOT NULL DEFAULT false;  -- the PSP is told that it may be raised

-- Of an increment: the whole amount that is to be authorized, as PSPs count it. Of an authorization: the most that
-- approved increments have raised it to; null: none has.
ALTER TABLE attempts ADD COLUMN total_minor bigint;

-- squawk-ignore ban-drop-constraint -- its successor is the next statement, and takes all that it took
ALTER TABLE attempts DROP CONSTRAINT attempts_operation_check;
ALTER TABLE attempts ADD CONSTRAINT attempts_operation_check
    CHECK (operation IN ('authorize', 'capture', 'void', 'refund', 'increment')) NOT VALID;
-- squawk-ignore ban-drop-constraint -- its successor is the next statement, and takes all that it took
ALTER TABLE attempts DROP CONSTRAINT attempts_check2;  -- authorized_minor BETWEEN 0 AND minor
ALTER TABLE attempts ADD CONSTRAINT authorized_as_asked
    CHECK (authorized_minor BETWEEN 0 AND coalesce(total_minor, minor)) NOT VALID;
-- Every row there is holds to the stricter ones before them, so nothing has to be read.
ALTER TABLE attempts ADD CONSTRAINT increments_raise
    CHECK (operation <> 'increment' OR (total_minor IS NOT NULL AND total_minor > minor AND parent_id IS NOT NULL)) NOT VALID;

GRANT SELECT (total_minor) ON attempts TO scrooge_reader;
