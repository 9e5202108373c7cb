-- Cards come and go as wholes: what is imported, exported and shredded has chains of its own in the audit.
INSERT INTO audit_heads (stream, seq, hash)
SELECT stream, 0, sha256(convert_to(stream, 'UTF8')) FROM unnest(ARRAY['move', 'retention']) AS stream;
