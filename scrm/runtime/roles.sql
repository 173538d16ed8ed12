-- The two roles and the database. Run by psql as a superuser, any number of times:
-- by the embedded PostgreSQL at each start, by the compose file's at its first.
-- Passwords come from the environment, so that no process list shows them.
\set ON_ERROR_STOP on
\getenv owner_password ORCHARD_OWNER_PASSWORD
\getenv app_password ORCHARD_APP_PASSWORD

SELECT 'CREATE ROLE orchard_owner' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orchard_owner') \gexec
SELECT 'CREATE ROLE orchard_app' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orchard_app') \gexec

-- Owns the tables, runs migrations. CREATEDB: the test database.
ALTER ROLE orchard_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE CREATEDB PASSWORD :'owner_password';

-- The product at work: owns nothing, sees one brand at a time.
ALTER ROLE orchard_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD :'app_password';

-- One forgotten transaction holds back every brand's reactors (the log is read below the oldest running one).
ALTER ROLE orchard_app SET transaction_timeout = '60s';
ALTER ROLE orchard_app SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE orchard_app SET timezone = 'UTC';
ALTER ROLE orchard_owner SET timezone = 'UTC';

SELECT 'CREATE DATABASE orchard OWNER orchard_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'orchard') \gexec
