-- :rows rows in all, half tickets, half events. Sentences are put together from words once and then
-- reused, so that the text compresses like text and the making takes seconds.
-- Alone: in a container there is little shared memory, and it is the data that counts, not its making.
SET max_parallel_workers_per_gather = 0;
SET max_parallel_maintenance_workers = 0;
SELECT setseed(0.42) \g /dev/null
CREATE TABLE sentences AS
	WITH words AS (SELECT string_to_array('the printer ticket user cannot login after update screen server is slow'
		' again mail password reset please help since monday morning error message shows up when I open report'
		' customer waits for answer network down in building seven keyboard works but mouse does not disk full'
		' backup failed restarted twice phone rings nobody answers invoice missing from list why was this closed'
		' we need access to shared folder certificate expired on friday new colleague starts next week laptop'
		' battery drains quickly meeting room display flickers green', ' ') AS w)
	SELECT n, initcap(s[1]) || ' ' || array_to_string(s[2:], ' ') || '.' AS text
	FROM (SELECT n, (SELECT array_agg(word) FROM (SELECT w[1 + floor(random() * cardinality(w))::int] AS word
			FROM generate_series(1, 6 + n % 9)) AS picked) AS s
		FROM words, generate_series(1, 20000) AS n) AS sentence;
ALTER TABLE sentences ADD PRIMARY KEY (n);

CREATE TABLE tickets (
	id bigint PRIMARY KEY,
	requester integer NOT NULL,
	title text NOT NULL,
	body text NOT NULL,
	fields jsonb NOT NULL,
	created_at timestamptz NOT NULL
);
INSERT INTO tickets
SELECT i, 1 + (i * 7919::bigint % 40000)::int, a.text, b.text || ' ' || c.text || E'\n' || d.text,
	jsonb_build_object('state', (ARRAY['open','closed','waiting'])[1 + i % 3], 'agent', i % 97, 'ref', md5(i::text),
		'tags', jsonb_build_array('t' || i % 50, 'q' || i % 7), 'score', i % 1000 / 10.0),
	timestamptz '2024-01-01' + i * interval '37 seconds'
FROM generate_series(1, (:rows / 2)::bigint) AS i
JOIN sentences a ON a.n = 1 + i * 31 % 20000 JOIN sentences b ON b.n = 1 + i * 37 % 20000
JOIN sentences c ON c.n = 1 + i * 41 % 20000 JOIN sentences d ON d.n = 1 + i * 43 % 20000;

CREATE TABLE events (
	id bigint PRIMARY KEY,
	ticket bigint NOT NULL,
	at timestamptz NOT NULL,
	actor text NOT NULL,
	what text NOT NULL,
	detail jsonb
);
INSERT INTO events
SELECT i, 1 + i * 104729::bigint % (:rows / 2), timestamptz '2024-01-01' + i * interval '37 seconds', 'user' || i % 40000 || '@example.org',
	(ARRAY['opened','commented','assigned','closed'])[1 + i % 4],
	CASE WHEN i % 2 = 0 THEN jsonb_build_object('from', '10.' || i % 250 || '.' || i % 240 || '.7', 'note', a.text) END
FROM generate_series(1, (:rows / 2)::bigint) AS i JOIN sentences a ON a.n = 1 + i * 53 % 20000;

CREATE INDEX tickets_requester ON tickets (requester, created_at);
CREATE INDEX events_ticket ON events (ticket);
VACUUM ANALYZE;
