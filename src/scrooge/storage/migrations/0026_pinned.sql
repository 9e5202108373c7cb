-- The connector account that a payment's caller asked for: what is tried again later stays there.

ALTER TABLE payments ADD COLUMN pinned_account_id uuid;  -- null: none was asked for
