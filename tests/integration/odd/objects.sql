-- Objects that are hard to carry. Each statement ends at the end of a line.
CREATE TABLE parent (id int, a text DEFAULT 'x'); CREATE TABLE child (b int) INHERITS (parent);
ALTER TABLE parent ADD COLUMN late numeric; ALTER TABLE child DROP COLUMN b; ALTER TABLE parent DROP COLUMN a;
INSERT INTO parent VALUES (1, 2); INSERT INTO child VALUES (2, 'NaN');
CREATE TABLE low (id int PRIMARY KEY, v text) WITH (fillfactor = 10);
INSERT INTO low SELECT i, repeat('x', 300) FROM generate_series(1, 500) i; UPDATE low SET v = 'y' WHERE id % 3 = 0;
CREATE TABLE generated (a int, b int GENERATED ALWAYS AS (a * 2) STORED, c int); INSERT INTO generated (a, c) VALUES (1, 3);
CREATE TABLE "таблица ☃ \ ' "" $$" ("колонка, 1" text, "%d" int[], "\" int); INSERT INTO "таблица ☃ \ ' "" $$" VALUES (E'\\.', '{{1,2},{3,4}}', 7);
CREATE TABLE many (x point, y int4range, z bit varying, w money, m macaddr, u uuid, xx xml, ts timestamp, d date, tz timetz, j json);
INSERT INTO many VALUES ('(1,2)', '[1,5)', B'101', '12.34', '08:00:2b:01:02:03', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
	'<a>é</a>', 'infinity', '4713-01-01 BC', '12:00+05:30', '{"b":1, "a": 2, "b": 3}');
CREATE TABLE wide (t text); INSERT INTO wide VALUES (repeat('wide ☃ ', 2000000));
CREATE TYPE pair AS (l text, r int); CREATE TABLE composed (p pair, ps pair[]); INSERT INTO composed VALUES (('a,"b', 1), ARRAY[('x', NULL)::pair, NULL]);
CREATE FUNCTION later() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION later();
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE COLLATION german (provider = icu, locale = 'de-u-co-phonebk'); CREATE TABLE collated (t text COLLATE german UNIQUE); INSERT INTO collated VALUES ('ä'), ('ae');
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple); CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw; CREATE FOREIGN TABLE far (a int) SERVER s;
SELECT lo_from_bytea(0, decode(repeat('00ff', 3000000), 'hex')); SELECT lo_create(0);
CREATE SEQUENCE down INCREMENT -5 MAXVALUE 100 MINVALUE -100 START 100 CYCLE CACHE 3; SELECT nextval('down');
CREATE UNLOGGED TABLE scratch (a int); INSERT INTO scratch VALUES (1);
CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS one WITH NO DATA; CREATE VIEW loop_a AS SELECT 1 AS x;
CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p WITH (connect = false);
