-- Capture sessions that the core asks for, for its own page. They hang on a key that nobody has, and opens nothing.
INSERT INTO vault_keys (id, merchant_id, caller, digest, hint, scopes, livemode)
VALUES ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', 'core',
        sha256(convert_to(gen_random_uuid()::text, 'UTF8')), '-', ARRAY['none'], false);
