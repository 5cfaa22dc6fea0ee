-- Run once, when PostgreSQL's data folder is made; the database `prefect` is made by POSTGRES_DB.
CREATE EXTENSION pg_trgm;
-- The captions (`state`) and the requests (`ledger`) of campaigns.
CREATE DATABASE earthscribe;
