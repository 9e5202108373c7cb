-- Operators may say that less was approved than was asked for.
ALTER TABLE decisions ADD COLUMN minor bigint;
ALTER TABLE decisions ADD COLUMN currency char(3);
ALTER TABLE decisions ADD CONSTRAINT only_approvals_have_an_amount
    CHECK ((minor IS NULL) = (currency IS NULL) AND (minor IS NULL OR (minor > 0 AND outcome = 'approved'))) NOT VALID;
-- squawk-ignore constraint-missing-not-valid -- validated at once: decisions are few, and none had an amount
ALTER TABLE decisions VALIDATE CONSTRAINT only_approvals_have_an_amount;
