-- The help desk's main database: users, tickets, attachments.
CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;
SET ROLE helpdesk_owner;

CREATE TYPE priority AS ENUM ('low', 'normal', 'high', 'urgent');
CREATE DOMAIN phone AS text CHECK (VALUE ~ '^\+?[0-9 ]{5,20}$');

CREATE TABLE users (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	email citext NOT NULL UNIQUE,
	name text NOT NULL,
	phone phone,
	is_agent boolean NOT NULL DEFAULT false,
	joined timestamptz NOT NULL
);
COMMENT ON COLUMN users.is_agent IS 'answers tickets';

CREATE SEQUENCE ticket_number START 1000 INCREMENT 3;
CREATE TABLE tickets (
	id integer PRIMARY KEY DEFAULT nextval('ticket_number'),
	requester bigint NOT NULL REFERENCES users,
	agent bigint REFERENCES users ON DELETE SET NULL,
	title text NOT NULL,
	body text NOT NULL,
	priority priority NOT NULL DEFAULT 'normal',
	tags text[] NOT NULL DEFAULT '{}',
	fields jsonb NOT NULL DEFAULT '{}',
	cost numeric(12,4),
	effort interval,
	words tsvector GENERATED ALWAYS AS (to_tsvector('simple', title)) STORED,
	created_at timestamptz NOT NULL,
	CONSTRAINT title_is_not_empty CHECK (title <> '')
);
ALTER SEQUENCE ticket_number OWNED BY tickets.id;
CREATE INDEX tickets_open ON tickets (priority, created_at) WHERE fields ->> 'state' = 'open';
CREATE INDEX tickets_fields ON tickets USING gin (fields);
CREATE INDEX tickets_title ON tickets USING gin (title gin_trgm_ops);
CREATE INDEX tickets_words ON tickets USING gin (words);
CREATE STATISTICS tickets_statistics ON priority, agent FROM tickets;

CREATE TABLE attachments (
	ticket integer NOT NULL REFERENCES tickets,
	name text NOT NULL,
	content bytea NOT NULL,
	PRIMARY KEY (ticket, name)
);
ALTER TABLE attachments ALTER content SET STORAGE EXTERNAL;

CREATE TABLE events (
	at timestamptz NOT NULL,
	ticket integer NOT NULL,
	what text
) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE events_other PARTITION OF events DEFAULT;
CREATE INDEX ON events (ticket);

-- A name that has to be quoted everywhere, a column called like a keyword, one of each null.
CREATE SCHEMA "Odd ""names""";
CREATE TABLE "Odd ""names"""."Überstunden; DROP TABLE" ("select" text, "a b" real, "tab\t" double precision);
INSERT INTO "Odd ""names"""."Überstunden; DROP TABLE" VALUES
	(E'back\\slash\ttab\nnewline', 'NaN', '-Infinity'), (NULL, -0.0, 1e-300), ('', 'Infinity', 0.1);
CREATE TABLE without_columns ();
CREATE UNLOGGED TABLE sessions (token uuid PRIMARY KEY, holder bigint);

INSERT INTO users (email, name, phone, is_agent, joined)
SELECT 'user' || i || '@example.org', (ARRAY['Ada','Björn','Chloé','Дмитрий','恵子'])[1 + i % 5] || ' ' || i,
	CASE WHEN i % 3 = 0 THEN '+49 30 ' || 100000 + i END, i % 10 = 0, timestamptz '2025-02-01' + i * interval '7 hours'
FROM generate_series(1, 300) AS i;
INSERT INTO tickets (requester, agent, title, body, priority, tags, fields, cost, effort, created_at)
SELECT 1 + i % 300, CASE WHEN i % 4 > 0 THEN 10 + i % 30 * 10 - i % 30 * 10 % 10 END,
	'Ticket ' || i || ': ' || (ARRAY['printer on fire','cannot log in','VPN drops','screen is blue'])[1 + i % 4],
	repeat(md5(i::text) || E' \\N \\. \u2603\n', 1 + i % 20),
	(ARRAY['low','normal','high','urgent'])[1 + i % 4]::priority,
	CASE WHEN i % 2 = 0 THEN ARRAY['a"b', NULL, 'c,d', '{}'] ELSE '{}' END,
	jsonb_build_object('state', CASE WHEN i % 5 = 0 THEN 'open' ELSE 'closed' END, 'n', i, 'path', ARRAY[i, i * 2],
		'note', E'quote " and \\ and \u00fc'),
	i * 1.2345, make_interval(mins => i), now() - (2500 - i) * interval '20 minutes'
FROM generate_series(1, 2500) AS i;
INSERT INTO attachments
SELECT id, 'screenshot.png', decode(repeat(md5(id::text), 50 + id % 500), 'hex') FROM tickets WHERE id % 10 = 0;
INSERT INTO attachments VALUES (1000, 'empty.txt', ''), (1000, 'all bytes', (
	SELECT string_agg(set_byte('\x00', 0, b), '' ORDER BY b) FROM generate_series(0, 255) AS b));
INSERT INTO events SELECT '2025-11-01'::timestamptz + i * interval '3 hours', 1000 + i % 500 * 3, 'event ' || i
FROM generate_series(1, 4000) AS i;
INSERT INTO events VALUES ('2024-06-01', 1000, NULL);
INSERT INTO without_columns DEFAULT VALUES;
INSERT INTO without_columns DEFAULT VALUES;

CREATE VIEW open_tickets AS
	SELECT t.id, t.title, u.name AS requester FROM tickets t JOIN users u ON u.id = t.requester
	WHERE t.fields ->> 'state' = 'open';
CREATE MATERIALIZED VIEW tickets_per_day AS
	SELECT date_trunc('day', created_at AT TIME ZONE 'UTC') AS day, count(*) AS tickets FROM tickets GROUP BY 1;
CREATE UNIQUE INDEX ON tickets_per_day (day);

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.fields := NEW.fields || jsonb_build_object('touched', true);
	RETURN NEW;
END
$$;
CREATE TRIGGER tickets_touch BEFORE UPDATE ON tickets FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER tickets_quiet AFTER DELETE ON tickets FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE tickets DISABLE TRIGGER tickets_quiet;
CREATE FUNCTION open_count(OUT n bigint) LANGUAGE sql STABLE BEGIN ATOMIC
	SELECT count(*) FROM open_tickets;
END;
CREATE PROCEDURE refresh_days() LANGUAGE sql AS 'REFRESH MATERIALIZED VIEW tickets_per_day';

-- Row-level security: the application sees a requester's own tickets.
ALTER TABLE tickets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tickets ON tickets FOR SELECT TO reporting
	USING (requester = current_setting('app.user', true)::bigint);

GRANT USAGE ON SCHEMA public TO reporting;
GRANT SELECT ON users, tickets, open_tickets, tickets_per_day TO reporting WITH GRANT OPTION;
GRANT SELECT (ticket, name) ON attachments TO auditor;
REVOKE EXECUTE ON FUNCTION open_count() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reporting;
RESET ROLE;

-- Large objects: a scanned contract, and an empty one that an auditor may read.
SELECT lo_from_bytea(70001, decode(repeat(md5('contract'), 20000), 'hex'));
SELECT lo_from_bytea(70002, '');
ALTER LARGE OBJECT 70001 OWNER TO helpdesk_owner;
GRANT SELECT ON LARGE OBJECT 70002 TO auditor;
COMMENT ON LARGE OBJECT 70001 IS 'contract, scanned';

CREATE PUBLICATION ticket_changes FOR TABLE tickets;
