-- Who did what. Its own database, with the C collation.
CREATE SCHEMA audit AUTHORIZATION auditor;
SET ROLE auditor;
CREATE TABLE audit.entries (
	id bigserial PRIMARY KEY,
	at timestamptz NOT NULL,
	actor text NOT NULL,
	action text NOT NULL,
	old jsonb,
	new jsonb,
	address inet
) WITH (fillfactor = 90);
CREATE INDEX entries_at ON audit.entries USING brin (at);
INSERT INTO audit.entries (at, actor, action, old, new, address)
SELECT '2026-01-01'::timestamptz + i * interval '11 minutes', 'user' || i % 300, (ARRAY['login','update','delete'])[1 + i % 3],
	CASE WHEN i % 3 > 0 THEN jsonb_build_object('v', i) END, CASE WHEN i % 3 = 1 THEN jsonb_build_object('v', i + 1) END,
	('10.0.' || i % 256 || '.' || i % 200)::inet
FROM generate_series(1, 5000) AS i;
CREATE RULE entries_are_kept AS ON DELETE TO audit.entries DO INSTEAD NOTHING;
GRANT USAGE ON SCHEMA audit TO reporting;
GRANT SELECT ON audit.entries TO reporting;
CREATE SEQUENCE audit.never_used;
SELECT setval('audit.never_used', 41, false);
RESET ROLE;
