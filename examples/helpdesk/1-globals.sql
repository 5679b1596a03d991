-- The help desk's roles and databases. Run as the superuser, in the database postgres.
CREATE ROLE helpdesk_owner NOLOGIN;
CREATE ROLE helpdesk_app LOGIN PASSWORD 'app-secret' CONNECTION LIMIT 40;
CREATE ROLE reporting LOGIN PASSWORD 'report-secret' VALID UNTIL '2040-01-01 00:00:00+00';
CREATE ROLE auditor NOLOGIN;
CREATE ROLE "Müller, night shift" LOGIN;
GRANT helpdesk_owner TO helpdesk_app;
GRANT auditor TO reporting WITH ADMIN OPTION;
GRANT pg_monitor TO reporting;
ALTER ROLE reporting SET statement_timeout = '30s';
ALTER ROLE helpdesk_app SET search_path = public, pg_catalog;
COMMENT ON ROLE auditor IS 'may read what was done, and change nothing';

CREATE DATABASE hdms_db OWNER helpdesk_owner;
CREATE DATABASE hdms_audit OWNER auditor TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C';
ALTER DATABASE hdms_db SET work_mem = '8MB';
ALTER DATABASE hdms_db CONNECTION LIMIT 100;
ALTER ROLE reporting IN DATABASE hdms_db SET default_transaction_read_only = on;
COMMENT ON DATABASE hdms_audit IS 'who did what, kept for ten years';
REVOKE CONNECT ON DATABASE hdms_audit FROM PUBLIC;
GRANT CONNECT ON DATABASE hdms_audit TO auditor, reporting;
