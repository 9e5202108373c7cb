-- A security code lives while its authorization is in doubt, minutes at most: the first request that it goes into is the
-- only one that may have it again. When the PSP's answer ends the authorization the code goes, and the answer, in which
-- there is no card, waits here in its place for a core that did not hear it. No longer than the code would have lived.
-- `sealed` is empty from then on.
ALTER TABLE security_codes ADD COLUMN request bytea;  -- SHA-256 of the request it is bound to
ALTER TABLE security_codes ADD COLUMN answer bytea;

GRANT UPDATE (request, answer) ON security_codes TO scrooge_vault;
