-- A payer may agree that one mandate pays where another one's card does not. Consent is each mandate's own.
ALTER TABLE mandates ADD COLUMN fallback boolean NOT NULL DEFAULT false;
CREATE TRIGGER fallback_stays BEFORE UPDATE OF fallback ON mandates
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
